"""A cage that a process closes around itself, without privileges: nothing on disk to be written, no secret to
be read, no network, no other process.

Two layers, each where the kernel has it: Landlock refuses writing, making, removing and executing files,
reading those that are hidden, and TCP; a seccomp filter refuses every socket but local ones and netlink's,
signals to others, their memory, and new processes. Both hold for the calling thread and all that it starts,
so they come before any other thread. Nothing opens the cage again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.adapters.cage_linux import landlock, seccomp
from agent.adapters.cage_linux.kernel import LIBC, Missing
from agent.adapters.cage_linux.landlock import DEVICES

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38


@dataclass(frozen=True, slots=True)
class Cage:
    """Of each layer why it is missing; empty: it stands."""

    files: str
    network: str

    def in_words(self) -> dict[str, str]:
        """What of it stands, as fields of a log line."""
        return {
            "files": f"not caged: {self.files}" if self.files else "read-only",
            "network": f"not caged: {self.network}" if self.network else "none",
        }


def close(
    *,
    network: bool,
    programs: bool = False,
    writes: Sequence[Path] = (DEVICES,),
    hidden: Sequence[Path] = (),
) -> Cage:
    """Close the cage around this thread and all that it starts.

    Args:
        network: it may go on talking to the network (a camera that is a stream).
        programs: it may start processes and programs (libcamera runs what drives a camera in one of its own
            where it was built unsigned).
        writes: files and folders that may be written to; one that is not there is passed over.
        hidden: files and folders that may not be read.
    """
    LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    files = _tried(lambda: landlock.restrict(writes, hidden, network=network, programs=programs))
    calls = _tried(lambda: seccomp.refuse(network=network, programs=programs))
    return Cage(files, calls or ("the camera needs it" if network else ""))


def available() -> Cage:
    """Which layers this kernel has, without closing anything."""
    return Cage(files=_tried(landlock.version), network=_tried(seccomp.abi))


def shield() -> None:
    """No other process of this user reads or changes this one's memory, environment and descriptors, or
    traces it; a core is not dumped. Source: prctl(2), PR_SET_DUMPABLE; ptrace(2).
    """
    LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _tried(layer: Callable[[], object]) -> str:
    try:
        layer()
    except Missing as missing:
        return str(missing)
    return ""
