"""What Linux says of our processes and of the machine.

Sources: proc(5) for statm and stat; the kernel's Documentation/driver-api/thermal/sysfs-api.rst for
thermal zones; the gasket driver's `apex` class for an Edge TPU on PCIe (one on USB has no sensor); for the
firmware's bits the sysfs attribute of Raspberry Pi OS kernels, which prints them in hexadecimal, or else
`vcgencmd get_throttled`, which prints `throttled=0x50005`.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.adapters.machine import memory
from agent.core.telemetry.vitals import CpuTime, Gauges

COMMAND_S: Final = 2.0
COMMAND_REST_READS: Final = 30
"""Readings until `vcgencmd` is asked again once it has failed."""

_SOC_ZONES: Final = ("cpu", "soc", "x86_pkg")
"""How the type of the SoC's thermal zone begins, the best first: `cpu-thermal` on every Raspberry Pi."""
_THROTTLED: Final = (
    "devices/platform/soc/soc:firmware/get_throttled",
    "devices/platform/soc*/*firmware*/get_throttled",
    "devices/platform/*firmware*/get_throttled",
)


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


class LinuxHost:
    """See `agent.ports.host.Host`. Where the sensors are is looked up once, what they say at each reading."""

    def __init__(
        self,
        state: Path,
        *,
        proc: Path = Path("/proc"),
        sys: Path = Path("/sys"),
        vcgencmd: str | None = None,
    ) -> None:
        """
        Args:
            state: a folder on the disk whose free space is told.
            proc: where procfs is mounted.
            sys: where sysfs is mounted.
            vcgencmd: the command that asks the firmware; None: the one on the PATH, if any.
        """
        self._state, self._proc = state, proc
        self._soc = _soc_zone(sys)
        self._tpu = next(iter(sorted(sys.glob("class/apex/apex_*/temp"))), None)
        self._bits = next((path for pattern in _THROTTLED for path in sorted(sys.glob(pattern))), None)
        self._vcgencmd = vcgencmd or shutil.which("vcgencmd")
        self._rest_reads = 0

    def read(self) -> Gauges:
        return Gauges(
            soc_c=_celsius(self._soc),
            tpu_c=_celsius(self._tpu),
            throttled_bits=self._throttled_bits(),
            cpu=_cpu(self._proc),
            memory_available_bytes=memory.read(self._proc / "meminfo").get("MemAvailable"),
            disk_free_bytes=_disk_free(self._state),
        )

    def _throttled_bits(self) -> int | None:
        if self._bits is not None:
            return _number(_text(self._bits), base=16)
        if self._vcgencmd is None:
            return None
        if self._rest_reads:
            self._rest_reads -= 1
            return None
        bits = _ask_firmware(self._vcgencmd)
        if bits is None:
            self._rest_reads = COMMAND_REST_READS
        return bits


def _soc_zone(sys: Path) -> Path | None:
    zones = {
        zone / "temp": _text(zone / "type").lower()
        for zone in sorted(sys.glob("class/thermal/thermal_zone*"))
    }
    return next(
        (temp for begin in _SOC_ZONES for temp, kind in zones.items() if kind.startswith(begin)), None
    )


def _celsius(path: Path | None) -> float | None:
    millicelsius = None if path is None else _number(_text(path))
    return None if millicelsius is None else millicelsius / 1000


def _cpu(proc: Path) -> CpuTime | None:
    """The first eight numbers are user, nice, system, idle, iowait, irq, softirq and steal; time of guests
    is in user already.
    """
    head, *times = next(_lines(proc / "stat"), "").split()[:9] or [""]
    if head != "cpu" or len(times) < 5 or not all(each.isdecimal() for each in times):
        return None
    ticks = [int(each) for each in times]
    return CpuTime(busy=sum(ticks) - ticks[3] - ticks[4], whole=sum(ticks))


def _disk_free(folder: Path) -> int | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _ask_firmware(vcgencmd: str) -> int | None:
    try:
        asked = subprocess.run(
            [vcgencmd, "get_throttled"], capture_output=True, text=True, timeout=COMMAND_S, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return _number(asked.stdout.strip().removeprefix("throttled="), base=16)


def _lines(path: Path) -> Iterator[str]:
    return iter(_text(path).splitlines())


def _text(path: Path) -> str:
    """Empty where it cannot be read: a sensor may be asleep, or gone with its driver."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(text: str, base: int = 10) -> int | None:
    try:
        return int(text, base)
    except ValueError:
        return None
