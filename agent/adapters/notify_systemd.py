"""The service manager, by its notification socket: one datagram a message, lines of KEY=value.

Protocol: sd_notify(3) and sd_watchdog_enabled(3) of systemd.
"""

import logging
import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Final

from agent.ports.notify import Alive, Extend, Ready, Reloading, Status, Stopping, Word

log = logging.getLogger(__name__)

SAID: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class SystemdNotify:
    """Where the service manager gave no socket, all of this does nothing.

    What it said stands in the environment, and is taken out of it: no child is to speak for this process.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        said = {name: environment.pop(name, "") for name in SAID}
        self._address = _address(said["NOTIFY_SOCKET"])
        self._silenced = False
        self.watchdog_s = _watchdog_s(said) if self._address else None

    def tell(self, *words: Word) -> None:
        if not self._address:
            return
        message = "\n".join(map(_line, words)).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to_manager:
                to_manager.settimeout(0)
                to_manager.sendto(message, self._address)
        except OSError as error:
            if not self._silenced:
                log.warning("notify.failed", extra={"reason": error.strerror})
            self._silenced = True
        else:
            self._silenced = False


def _address(path: str) -> str:
    """A leading @ stands for the null byte of an abstract address."""
    if path.startswith("@"):
        return f"\0{path[1:]}"
    return path if path.startswith("/") else ""


def _watchdog_s(said: Mapping[str, str]) -> float | None:
    """The watchdog may be meant for another process than this one (WATCHDOG_PID)."""
    microseconds, meant_for = said["WATCHDOG_USEC"], said["WATCHDOG_PID"]
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return None if meant_for not in {"", str(os.getpid())} else int(microseconds) / 1e6


def _line(word: Word) -> str:
    match word:
        case Ready():
            return "READY=1"
        case Status(text):
            return f"STATUS={' '.join(text.split())}"
        case Alive():
            return "WATCHDOG=1"
        case Extend(seconds):
            return f"EXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}"
        case Reloading(monotonic_ns):
            return f"RELOADING=1\nMONOTONIC_USEC={monotonic_ns // 1000}"
        case Stopping():
            return "STOPPING=1"
