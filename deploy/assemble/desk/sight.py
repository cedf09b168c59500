"""What the operator can know of the fleet without steering it: as it stands, or as it was last read."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import msgspec
from msgspec import Struct

from agent.adapters.clock_system import SystemClock
from agent.ports.clock import Clock
from agent.wire import topics
from agent.wire.documents import Instant, Plan
from agent.wire.errors import ConfigError, StoreFailed
from agent.wire.topics import MAIN, DeviceId
from deploy.adapters import workspace as files
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk import controlling, workspaces
from deploy.assemble.desk.session import Session, connected
from deploy.core import history
from deploy.core.devices import outlook, roster
from deploy.core.devices.cases import Stream, cases
from deploy.core.devices.fleet import Device, Row, fold
from deploy.core.devices.why import Case
from deploy.core.rollouts import standing, state
from deploy.core.rollouts.believing import Believer
from deploy.core.rollouts.picture import Picture
from deploy.core.rollouts.state import Fleet, Rollout
from deploy.core.rollouts.words import Line
from deploy.flows.devices import Patience, read_fleet, read_one
from deploy.ports.repository import Repository

KEPT: Final = "last-seen.msgpack"
LARGE_BYTES: Final = 1_000_000
"""Of what was kept: a smaller fleet is read whole in less than a second."""


class Kept(Struct, frozen=True, kw_only=True):
    """What stood on the broker, for questions that are asked without one."""

    root: str
    at: Instant
    missing: tuple[str, ...]
    messages: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """The ledger, the plans and the devices at one instant."""

    picture: Picture
    devices: tuple[Device, ...]
    """With every pipeline, and whether or not they are believed."""
    ledger: Fleet
    repository: Repository
    lines: tuple[Line, ...]
    """Of the ledger."""
    unkept: str = ""
    """Why what was read could not be kept for questions without a broker; else empty."""

    def plan(self, stream: str) -> Plan | None:
        """The newest, as it was decided or signed here."""
        return standing.newer(standing.plans(self.ledger).get(stream), self.repository.plan(stream))

    def cases(self, stream: str) -> Callable[[str, str], Case]:
        """What is known of each device by one of its pipelines; of one that nobody knows, nothing.

        Args:
            stream: that a pipeline follows which does not say so itself.
        """
        return cases(self.picture, self.ledger.members, stream, functools.cache(self._known))

    def _known(self, stream: str) -> Stream:
        rollout = self.rollout(stream)
        if rollout is None:
            return Stream(self.plan(stream), None, (), {})
        coming = outlook.to_come(rollout, self.picture)
        return Stream(self.plan(stream), rollout, coming, history.first_failed(self.lines, rollout.name))

    def rows(self, stream: str) -> tuple[Row, ...]:
        """Every pipeline of every device with the cause that counts for it; also devices that were enrolled
        and never heard. `stream` is as in `cases`.
        """
        return roster.rows(self.ids(), self.devices, self.cases(stream))

    def pipelines(self, device: str) -> tuple[str, ...]:
        """Of which something is believed, `main` first."""
        found = next((each for each in self.picture.devices if each.id == device), None)
        return (MAIN, *(told.report.pipeline for told in found.further)) if found is not None else (MAIN,)

    def rollout(self, stream: str) -> Rollout | None:
        """The one that goes on in the stream, or else the last that did."""
        every = [each for each in self.ledger.rollouts.values() if each.order.stream == stream]
        return self.ledger.active(stream) or (every[-1] if every else None)

    def ids(self) -> tuple[str, ...]:
        """Every device that was enrolled or has left word."""
        return tuple(sorted({*self.ledger.members, *(device.id for device in self.devices)}))


def look(workspace: Workspace, patience: Patience) -> Sight:
    """Read everything now, and keep it where it is complete.

    Raises:
        LinkDown: the broker cannot be reached.
        StoreFailed: the ledger cannot be read.
        ConfigError: a setting is wrong.
    """
    with connected(workspace) as session:
        kept = _read(session, patience, SystemClock())
    found = _sight(workspace, kept)
    return found if kept.missing else replace(found, unkept=_keep(workspace, kept))


def _keep(workspace: Workspace, kept: Kept) -> str:
    """Why it could not be, if it could not: what was read is no less true on a full or a read-only disk."""
    try:
        files.write_file(workspace.folder / KEPT, msgspec.msgpack.encode(kept))
    except StoreFailed as error:
        return str(error)
    return ""


def look_at(workspace: Workspace, device: DeviceId, patience: Patience) -> Sight:
    """Read this device now. Of a large fleet the others are as they were last read: they only matter for the
    waves to come.

    Raises:
        LinkDown: the broker cannot be reached.
        StoreFailed: the disk refused.
        ConfigError: a setting is wrong.
    """
    path = workspace.folder / KEPT
    if not path.exists() or path.stat().st_size < LARGE_BYTES:
        return look(workspace, patience)
    kept = _kept(workspace)
    with connected(workspace) as session:
        messages = read_one(session.link, session.root, device, patience)
    if not messages or kept.root != session.root.prefix:
        return look(workspace, patience)
    return _sight(
        workspace,
        msgspec.structs.replace(
            kept, at=SystemClock().now(), messages=tuple((dict(kept.messages) | dict(messages)).items())
        ),
    )


def remember(workspace: Workspace) -> Sight:
    """What was read the last time.

    Raises:
        ConfigError: nothing was read here yet, or another program left the file.
    """
    return _sight(workspace, _kept(workspace))


def _kept(workspace: Workspace) -> Kept:
    """
    Raises:
        ConfigError: as `remember`.
    """
    path = workspace.folder / KEPT
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Kept)
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; shoal devices writes it when it reads the fleet"
        ) from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path} is damaged ({error}): shoal devices writes it anew") from error


def _read(session: Session, patience: Patience, clock: Clock) -> Kept:
    read = read_fleet(session.link, session.root, patience)
    return Kept(root=session.root.prefix, at=clock.now(), missing=read.incomplete, messages=read.messages)


def _sight(workspace: Workspace, kept: Kept) -> Sight:
    lines = controlling.open_ledger(workspace).lines()
    ledger = state.fold(lines)
    root = topics.root(kept.root)
    believer = Believer(root, controlling.seal_keys(workspace), ledger.members)
    for topic, content in kept.messages:
        believer.take(topic, content, kept.at)
    missing = (f"shard {shard} was not read to its end" for shard in kept.missing)
    picture = believer.picture(kept.at, missing)
    return Sight(picture, fold(root, kept.messages), ledger, workspaces.open_repository(workspace), lines)
