"""The machine and its clock."""

from dataclasses import dataclass
from typing import Final

from agent.core.findings.finding import Facts, Finding, Severity, degraded, note, ok

MEMORY_LEAST_BYTES: Final = 150 * 2**20
"""A supervisor takes 40 MiB, a worker with MobileNet v2 takes 60 to 90, a canary as much for a minute."""
PYTHON_NEWEST: Final = (3, 14)
"""The newest for which LiteRT has wheels."""


@dataclass(frozen=True, slots=True)
class Machine:
    """`glibc` and `glibcxx` are None where they cannot be told, as with another C library."""

    machine: str
    """As `uname -m` says: aarch64, armv7l, x86_64."""
    bits: int
    """Of the Python that runs: 32 in a 32-bit userland, whatever the kernel is."""
    python: tuple[int, int]
    glibc: tuple[int, ...] | None
    glibcxx: tuple[int, ...] | None
    """Newest GLIBCXX symbol version that libstdc++ offers."""
    page_bytes: int
    model: str
    """What the device tree calls the board; empty on a PC."""
    memory_bytes: int
    memory_available_bytes: int


def host(machine: Machine) -> Finding:
    facts = _facts(machine)
    if machine.machine == "aarch64" and machine.bits == 32:
        return degraded(
            "host.32-bit-userland",
            "the kernel is 64-bit and the userland 32-bit, for which LiteRT does not exist",
            "install the 64-bit Raspberry Pi OS; until then tflite-runtime serves, on Python 3.11 or older",
            facts,
        )
    if machine.bits == 32:
        return note(
            "host.32-bit",
            f"{machine.machine} is 32-bit, for which only tflite-runtime exists, on Python 3.11 or older",
            "where the board can do it, install the 64-bit Raspberry Pi OS",
            facts,
        )
    if machine.memory_available_bytes < MEMORY_LEAST_BYTES:
        return degraded(
            "host.memory",
            f"{_mib(machine.memory_available_bytes)} of memory are available, and the agent with a canary "
            f"takes up to {_mib(MEMORY_LEAST_BYTES)}",
            "end other programs, or add swap",
            facts,
        )
    if machine.python > PYTHON_NEWEST:
        return note(
            "host.python",
            f"Python {_dotted(machine.python)} is newer than the newest runtimes are built for",
            f"where no runtime installs, use Python 3.11 to {_dotted(PYTHON_NEWEST)}",
            facts,
        )
    return ok("host", _words(machine), facts)


def _facts(machine: Machine) -> Facts:
    return {
        "machine": machine.machine,
        "bits": machine.bits,
        "python": _dotted(machine.python),
        "glibc": _dotted(machine.glibc or ()),
        "glibcxx": _dotted(machine.glibcxx or ()),
        "page_bytes": machine.page_bytes,
        "model": machine.model,
        "memory_bytes": machine.memory_bytes,
        "memory_available_bytes": machine.memory_available_bytes,
    }


def _words(machine: Machine) -> str:
    board = machine.model or machine.machine
    return (
        f"{board}, Python {_dotted(machine.python)}, glibc {_dotted(machine.glibc or ()) or 'unknown'}, "
        f"{_mib(machine.memory_available_bytes)} of {_mib(machine.memory_bytes)} available"
    )


def clock(now: str, *, synchronized: bool, plausible: bool) -> Finding:
    """
    Args:
        now: the instant that the clock shows, in words.
        synchronized: it follows a time source.
        plausible: it is later than the release of this program.
    """
    facts: Facts = {"now": now, "synchronized": synchronized}
    if not plausible:
        return degraded(
            "clock.past",
            f"the clock shows {now}, which is in the past, so nothing new can be judged or installed",
            "let it reach a time server (timedatectl set-ntp true), or set it: date -s",
            facts,
        )
    if not synchronized:
        return degraded(
            "clock.unsynchronized",
            "the clock does not follow a time source yet, so nothing new is installed",
            "wait a minute after the start; else see why: timedatectl timesync-status, or chronyc tracking",
            facts,
        )
    return ok("clock", f"{now}, trusted", facts)


def agent(pid: int | None, hidden: str = "") -> Finding:
    """
    Args:
        pid: of the agent that runs on the state folder.
        hidden: the state folder, where this user may not look into it.
    """
    if hidden:
        return note(
            "agent.unknown",
            f"this user may not look into {hidden}, so an agent may run: what it would hold is left alone",
            "examine as the service's user: sudo -u shoal shoal-agent check",
            {"folder": hidden},
        )
    if pid is None:
        return ok("agent", "no agent uses this state folder", {"running": False})
    return note(
        "agent.running",
        f"an agent runs here as process {pid}: what it holds is not examined twice",
        facts={"running": True, "pid": pid},
    )


def cage(files: str, network: str) -> Finding:
    """How far worker and canary can be shut in; both arguments say why not, and are empty where they can."""
    facts: Facts = {"files": not files, "network": not network}
    if not files and not network:
        return ok("cage", "worker and canary can neither write files nor reach a network", facts)
    missing = " and ".join(
        filter(None, (files and f"write files ({files})", network and f"reach a network ({network})"))
    )
    return note(
        "cage.open",
        f"worker and canary are less shut in than they could be: they may {missing}",
        "use a kernel with seccomp and Landlock: 5.13 or newer, with landlock in lsm= of its command line",
        facts,
    )


def config(path: str | None, fault: str | None) -> Finding:
    """The file that was read, and why it cannot be used."""
    facts: Facts = {"file": path or ""}
    if fault is not None:
        return Finding(
            name="config.refused",
            severity=Severity.FATAL,
            cause=fault,
            remedy="mend the file; until then only what does not depend on it is examined",
            facts=facts,
        )
    if path is None:
        return note(
            "config.none",
            "there is no configuration file, so the defaults are examined",
            "have the operator write one with `shoal device-config`, and name it with --config",
            facts,
        )
    return ok("config", f"{path}: every key is known and every value possible", facts)


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _mib(length: int) -> str:
    return f"{length // 2**20} MiB"
