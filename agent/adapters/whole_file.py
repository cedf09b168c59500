"""Files that are replaced as a whole and survive a power cut."""

import os
import tempfile
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """All or nothing, on disk when it returns, and readable by its owner only.

    Raises:
        OSError: the disk refused; what stood there before stands there still.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # As TUF's client names its own: what a power cut left among them is swept away together.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"tmp-{path.name}-", delete=False) as new:
        beside = Path(new.name)
        try:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
    sync(path.parent)


def sync(path: Path) -> None:
    """What the file holds, or what the folder lists, is on disk when it returns.

    Raises:
        OSError: the disk refused.
    """
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
