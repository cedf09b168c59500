"""Who belongs to the fleet, as the ledger says, and what is kept of each here."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from agent.adapters.clock_system import SystemClock
from agent.wire.seal import DeviceKey, key_text
from agent.wire.topics import DeviceId
from deploy.adapters import account
from deploy.adapters.authority import Authority
from deploy.adapters.secret_files import read_secret, write_secret
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk.controlling import open_ledger
from deploy.core.enrolment import orders, passwords
from deploy.core.enrolment.orders import Identity
from deploy.core.rollouts import state
from deploy.core.rollouts.state import Fleet, Member
from deploy.core.rollouts.words import AnyEntry
from deploy.ports.ledger import Outrun

ATTEMPTS: Final = 5


def authority(workspace: Workspace) -> Authority:
    """The fleet's own, made where there is none.

    Raises:
        ConfigError: its files cannot be read.
        StoreFailed: the disk refused.
    """
    return Authority(workspace.folder / "keys" / "ca", SystemClock())


def read_fleet(workspace: Workspace) -> Fleet:
    """
    Raises:
        StoreFailed: the ledger cannot be read.
    """
    return state.fold(open_ledger(workspace).lines()) if workspace.ledger.exists() else Fleet()


def admit(workspace: Workspace, identity: Identity, why: str) -> Member:
    """Write down that the device belongs to the fleet.

    Raises:
        StoreFailed: the disk refused.
        Outrun: somebody else decides all the time.
    """
    fleet = _decide(workspace, lambda fleet: orders.enrol(fleet, identity, account.name(), why))
    return fleet.members[identity.device]


def expel(workspace: Workspace, device: DeviceId, why: str) -> None:
    """Write down that it no longer does.

    Raises:
        Refused: it is no member.
        StoreFailed: the disk refused.
        Outrun: somebody else decides all the time.
    """
    _decide(workspace, lambda fleet: orders.revoke(fleet, device, account.name(), why))


def give_seal(workspace: Workspace, device: DeviceId, secret: bytes) -> DeviceKey:
    """From now on the device is believed under this seal only; its boots begin above those that were heard.

    Raises:
        StoreFailed: the disk refused.
    """
    path = workspace.folder / "keys" / "devices" / f"{device}.seal"
    write_secret(path, key_text(DeviceKey(secret)))
    heard, _ = open_ledger(workspace).marks().get(device, (0, 0))
    return DeviceKey(secret, heard)


def read_passwords(workspace: Workspace) -> dict[str, str]:
    """The lines of the broker's password file, by name.

    Raises:
        StoreFailed: the disk refused.
    """
    content = read_secret(_password_file(workspace))
    return {} if content is None else passwords.parse(content.decode())


def write_passwords(workspace: Workspace, lines: dict[str, str]) -> None:
    """
    Raises:
        StoreFailed: the disk refused.
    """
    write_secret(_password_file(workspace), passwords.file(lines).encode())


def _password_file(workspace: Workspace) -> Path:
    return workspace.folder / "keys" / "passwords"


def _decide(workspace: Workspace, make: Callable[[Fleet], Sequence[AnyEntry]]) -> Fleet:
    """Write down what is decided by the newest state; the state after it. It needs no broker."""
    ledger = open_ledger(workspace)
    fault = Outrun("somebody else decides all the time: try again")
    for _ in range(ATTEMPTS):
        lines = ledger.lines()
        fleet = state.fold(lines)
        try:
            added = ledger.append(make(fleet), after=lines[-1].number if lines else 0)
        except Outrun as outrun:
            fault = outrun
        else:
            return state.fold(added, fleet)
    raise fault
