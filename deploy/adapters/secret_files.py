"""Files that only their owner may read, replaced as a whole."""

from pathlib import Path

from agent.wire.errors import StoreFailed
from deploy.adapters.whole_file import make_folder, write_whole


def write_secret(path: Path, content: bytes) -> None:
    """Nobody else can read it, not even for a moment.

    Raises:
        StoreFailed: the disk refused.
    """
    make_folder(path.parent, 0o700)
    write_whole(path, content, 0o600)


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
