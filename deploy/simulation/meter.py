"""What a process of this machine has used, from /proc. Source: proc(5), `stat` and `status`."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_s: float = 0.0
    rss_bytes: int = 0
    peak_bytes: int = 0


def usage(pid: int) -> Usage:
    """Nothing of a process that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return Usage()
    sizes = dict(line.split(":", 1) for line in status.splitlines())
    # The name of the program, in brackets, may hold blanks.
    fields = stat.rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), _bytes(sizes, "VmRSS"), _bytes(sizes, "VmHWM"))


def _bytes(sizes: dict[str, str], name: str) -> int:
    return int(sizes.get(name, "0 kB").split()[0]) * 1024
