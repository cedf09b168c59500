"""The clocks of the machine.

`synchronized` answers for two readers: the device installs nothing while it is False, and signed instants
are believed beyond the clock only then. So it must not say False for ever on a machine where nothing can
be known (a container, an air-gapped host whose clock a person set), and must not say True on a Pi that has
just booted with the time of its last shutdown. In order:

1. systemd-timesyncd is in use (its folder exists): True once it has left its mark there.
2. The kernel says that its clock is disciplined (any daemon, chrony and ntpd too): True.
3. The kernel says that it is not, and chrony or ntpd runs here: False, they are about to set it.
4. Nothing else is known: True, unless the clock shows a time before this program was written.

The kernel is asked by `adjtimex` with no modes set, which needs no privilege. A sandbox that filters the
call has to answer with an error number, not with SIGSYS (`SystemCallErrorNumber=EPERM`).
"""

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agent.core.update import freshness

_TIME_ERROR: Final = 5
_TIMEX_BYTES: Final = 1024
"""`struct timex` has at most 208 bytes on every Linux; its first field, `modes`, stays zero: only read."""

_DAEMONS: Final = ("chrony/chronyd.pid", "chronyd.pid", "ntpd.pid")


class SystemClock:
    def __init__(self, run: Path = Path("/run")) -> None:
        self._run = run

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def synchronized(self) -> bool:
        timesync = self._run / "systemd/timesync"
        if (timesync / "synchronized").exists():
            return True
        if timesync.is_dir():
            return False
        if _disciplined():
            return True
        if any((self._run / pid).exists() for pid in _DAEMONS):
            return False
        return freshness.plausible(self.now())


def _disciplined() -> bool:
    """Whether the kernel's clock is kept by a time daemon; False where the kernel does not tell."""
    state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return state not in {-1, _TIME_ERROR}
