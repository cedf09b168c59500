"""Whether an agent runs on a state folder, told without taking its lock even for a moment."""

from pathlib import Path


def holder(lock: Path, proc: Path = Path("/proc")) -> int | None:
    """The process that holds the lock file. Source: proc(5), locks: kind, mode, pid, major:minor:inode.

    The device numbers are not compared: those of layered file systems differ from what stat(2) says.
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
