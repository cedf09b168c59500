"""Which processor computes here, and how many of its cores this process may use."""

import os
import platform
from pathlib import Path
from typing import Final

_NAMES: Final = ("Model", "model name", "Hardware", "CPU part")
"""What /proc/cpuinfo calls it: the board on a Raspberry Pi, the processor on a PC, the core on other ARMs."""


def cores() -> int:
    return len(os.sched_getaffinity(0))


def describe(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Machine, name and cores: `aarch64 Raspberry Pi 4 Model B Rev 1.4 x4`."""
    return f"{platform.machine()} {_name(cpuinfo)} x{cores()}"


def _name(cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return "unknown"
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return next((said[name] for name in _NAMES if said.get(name)), "unknown")
