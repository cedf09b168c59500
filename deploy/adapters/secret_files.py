"""Files that only their owner may read: replaced as a whole, or made once and never overwritten."""

import os
from pathlib import Path

from agent.wire.errors import StoreFailed
from deploy.adapters.whole_file import make_folder, sync_folder, write_whole


def write_secret(path: Path, content: bytes) -> None:
    """Nobody else can read it, not even for a moment.

    Raises:
        StoreFailed: the disk refused.
    """
    make_folder(path.parent, 0o700)
    write_whole(path, content, 0o600)


class AlreadyThere(StoreFailed):
    """A file of this name exists, and stays as it is."""


def create_secret(path: Path, content: bytes) -> None:
    """A new file in a folder that is there; on disk when it returns.

    Raises:
        AlreadyThere: there is a file of this name.
        StoreFailed: the disk refused; nothing is left behind.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                path.unlink()
                raise
        sync_folder(path.parent)
    except FileExistsError as error:
        raise AlreadyThere(f"{path} exists already: move it away, or name another file") from error
    except OSError as error:
        raise StoreFailed(f"{path} cannot be written: {error.strerror}") from error


def read_secret(path: Path) -> bytes | None:
    """None where there is no such file.

    Raises:
        StoreFailed: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreFailed(f"{path} cannot be read: {error.strerror}") from error
