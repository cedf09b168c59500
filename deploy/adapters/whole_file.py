"""Files that are replaced as a whole: a reader sees the old content or the new one."""

import os
import tempfile
from pathlib import Path
from typing import Final

from agent.wire.errors import StoreFailed

FOR_ALL: Final = 0o644
"""The mode of files that anybody may read."""


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Into a folder that is there; on disk when it returns. Until its mode is set, nobody but its owner can
    read it.

    Raises:
        StoreFailed: the disk refused; nothing is left behind.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
            try:
                new.write(content)
                new.flush()
                os.fsync(new.fileno())
                Path(new.name).chmod(mode)
                Path(new.name).replace(path)
            except BaseException:
                Path(new.name).unlink(missing_ok=True)
                raise
        sync_folder(path.parent)
    except OSError as error:
        raise StoreFailed(f"{path} cannot be written: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """A power cut loses a new name whose folder was not synchronized, as fsync(2) says."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def make_folder(path: Path, mode: int) -> None:
    """The folder and those above it, where they are not there.

    Raises:
        StoreFailed: the disk refused.
    """
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreFailed(f"{path} cannot be made: {error.strerror}") from error
