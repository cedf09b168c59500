"""What Linux says of our processes."""

import os
from pathlib import Path


def rss_bytes(worker: int | None, proc: Path = Path("/proc")) -> dict[str, int]:
    """Resident memory of the supervisor, and of the worker where it is up. Source: proc(5), statm."""
    found = {"supervisor": _rss(proc / "self")}
    if worker is not None:
        found["worker"] = _rss(proc / str(worker))
    return {name: size for name, size in found.items() if size}


def _rss(process: Path) -> int:
    """0 for a process that has just gone."""
    try:
        resident_pages = int((process / "statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return resident_pages * os.sysconf("SC_PAGE_SIZE")
