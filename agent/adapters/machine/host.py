"""The machine: its processor, its C library, its Python, its memory."""

import os
import platform
import re
import sys
from pathlib import Path
from typing import Final

from agent.adapters.machine import memory
from agent.core.findings.host import Machine

_LIBSTDCXX: Final = ("usr/lib/*/libstdc++.so.6", "usr/lib/libstdc++.so.6", "usr/lib64/libstdc++.so.6")
_SYMBOL: Final = re.compile(rb"GLIBCXX_([0-9]+(?:\.[0-9]+)+)\x00")
_BITS: Final = 64 if sys.maxsize > 2**32 else 32


def read(root: Path = Path("/")) -> Machine:
    """Source: Devicetree Specification 0.4, 2.3.2, `model`."""
    found = memory.read(root / "proc/meminfo")
    return Machine(
        machine=platform.machine(),
        bits=_BITS,
        python=sys.version_info[:2],
        glibc=_glibc(),
        glibcxx=glibcxx(root),
        page_bytes=os.sysconf("SC_PAGE_SIZE"),
        model=_text(root / "proc/device-tree/model").rstrip("\0\n"),
        memory_bytes=found.get("MemTotal", 0),
        memory_available_bytes=found.get("MemAvailable", 0),
    )


def glibcxx(root: Path) -> tuple[int, ...] | None:
    """The newest symbol version of the system's libstdc++; None where there is none."""
    for pattern in _LIBSTDCXX:
        for library in root.glob(pattern):
            versions = [_numbers(found.decode()) for found in _SYMBOL.findall(_bytes(library))]
            if versions:
                return max(versions)
    return None


def _glibc() -> tuple[int, ...] | None:
    try:
        said = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return None
    return _numbers(said.removeprefix("glibc ")) if said.startswith("glibc ") else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _text(path: Path) -> str:
    return _bytes(path).decode(errors="replace")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
