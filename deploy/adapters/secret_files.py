"""Files that only their owner may read, replaced as a whole."""

import os
import tempfile
from pathlib import Path

from agent.wire.errors import StoreFailed


def write_secret(path: Path, content: bytes) -> None:
    """Nobody else can read it, not even for a moment.

    Raises:
        StoreFailed: the disk refused.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
            try:
                new.write(content)
                new.flush()
                os.fsync(new.fileno())
                Path(new.name).replace(path)
            except BaseException:
                Path(new.name).unlink()
                raise
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
