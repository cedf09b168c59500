"""A folder that belongs to one process at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from agent.wire.errors import ConfigError, StoreFailed


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder; the kernel lets go of it however this process ends.

    Raises:
        ConfigError: another process holds it.
        StoreFailed: the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreFailed(f"the state folder {folder}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise ConfigError(
            f"another shoal-agent uses {folder}: end it, or give this one a device.state_dir of its own"
        ) from error
    try:
        yield
    finally:
        os.close(lock)


def holder(lock: Path, proc: Path = Path("/proc")) -> int | None:
    """The process that holds the lock file, told without taking it even for a moment.

    Source: proc(5), locks: kind, mode, pid, major:minor:inode. The device numbers are not compared: those of
    layered file systems differ from what stat(2) says.
    """
    try:
        inode = str(lock.stat().st_ino)
        rows = [line.split() for line in (proc / "locks").read_text().splitlines()]
    except OSError:
        return None
    for row in rows:
        if len(row) > 5 and row[1] == "FLOCK" and row[5].rpartition(":")[2] == inode:
            return int(row[4])
    return None
