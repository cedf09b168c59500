"""The desk at which a fleet is steered: its memory, its signatures, its broker and its picture together."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from msgspec import structs

from agent.adapters.clock_system import SystemClock
from agent.ports.clock import Clock
from agent.wire import seal
from agent.wire.documents import Plan
from agent.wire.errors import Malformed
from agent.wire.topics import DeviceId, Digest
from deploy.adapters import approval_ed25519, lock_file
from deploy.adapters.ledger_sqlite import SqliteLedger
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk import noting, publishing, workspaces
from deploy.assemble.desk.hearing import BREAK_S, Connections, Hearing
from deploy.assemble.desk.publishing import OnProgress
from deploy.assemble.desk.session import Session, connected
from deploy.core import fence
from deploy.core.fence import Behind, Elsewhere, Place, Stands
from deploy.core.rollouts import approvals, letting_go, standing, state
from deploy.core.rollouts.believing import Believer
from deploy.core.rollouts.condensed import condense, expand
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.state import Fleet
from deploy.core.rollouts.words import AnyEntry, Approved, Ended, Judged, Line, Reasserted, Renewed
from deploy.flows import carry_out
from deploy.flows.devices import Patience
from deploy.flows.fence import Patience as FencePatience
from deploy.flows.live_picture import LivePicture
from deploy.ports.ledger import Outrun
from deploy.ports.repository import Publication

log = logging.getLogger(__name__)

ATTEMPTS: Final = 5
_NOTICED_S: Final = 0.25
"""How soon the end is noticed while devices are silent."""
Make = Callable[[Fleet, Picture], Sequence[AnyEntry]]


def open_ledger(workspace: Workspace, clock: Clock | None = None) -> SqliteLedger:
    return SqliteLedger(workspace.ledger, clock or SystemClock())


@dataclass(frozen=True, slots=True)
class Waits:
    """How long the broker is given to answer."""

    fence: FencePatience = field(default_factory=FencePatience)
    fleet: Patience = field(default_factory=Patience)


_WAITS: Final = Waits()


class Desk:
    """Reads, decides, writes down, and then does what was written."""

    def __init__(
        self,
        workspace: Workspace,
        session: Session,
        repository: TufRepository,
        connections: Connections,
        on_progress: OnProgress,
        clock: Clock,
        waits: Waits = _WAITS,
    ) -> None:
        self.workspace, self.session = workspace, session
        self.repository, self.ledger = repository, open_ledger(workspace, clock)
        self.waits = waits
        self.connections = connections
        self.clock = clock
        self.hearing = Hearing(clock)
        self._on_progress = on_progress
        self.newest = 0
        self._fleet = Fleet()
        self._live: LivePicture | None = None
        self._first: dict[str, Digest] = {}
        """By rollout, the first picture that was judged."""
        self._roll: tuple[Digest | None, frozenset[DeviceId] | None] = (None, None)
        self._placed: set[Digest] = set()
        """Manifests of the releases whose files stand."""
        self._published: int | None = None
        """The version of the timestamp that is known to stand on the broker."""
        self._standing: Publication | None = None
        """What was read back from the broker, over this connection:"""
        self._standing_over = 0
        self._read_over = 0
        """The connection over which the fleet was read."""
        self._overdue = False
        """What was decided could not be carried out the last time."""

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def fleet(self) -> Fleet:
        """What the ledger says now; only its new lines are read."""
        new = self.ledger.lines(self.newest)
        if new:
            signed = any(isinstance(line.entry, Approved) for line in new)
            keys = self.workspace.approvers() if signed else ()
            counting = approvals.genuine(new, self._fleet, keys, approval_ed25519.verify)
            self._fleet = state.fold(counting, self._fleet)
            self.newest = new[-1].number
            for line in new:
                if isinstance(line.entry, Judged):
                    self._first.setdefault(line.entry.rollout, line.entry.picture)
            if self._live is not None:
                self._live.enrol(self._fleet.members)
                self._live.count_in(self._there_at_the_beginning())
        return self._fleet

    def _there_at_the_beginning(self) -> frozenset[DeviceId] | None:
        """Of the oldest rollout under way: the devices of the first picture that was judged. None where there
        is none, or not a complete one.
        """
        going = (name for name, each in self._fleet.rollouts.items() if each.outcome is None)
        digest = next((self._first[name] for name in going if name in self._first), None)
        if digest is None:
            return None
        if digest != self._roll[0]:
            content = self.ledger.content(digest)
            kept = None if content is None else _expanded(content)
            ids = None if kept is None or kept.missing else frozenset(seen.id for seen in kept.devices)
            self._roll = (digest, ids)
        return self._roll[1]

    def live(self) -> LivePicture:
        """Read when it is first asked for and over each new connection, and listening in between."""
        if self._live is None:
            believer = Believer(self.session.root, seal_keys(self.workspace), self.fleet().members)
            believer.marks.update(self.ledger.marks())
            believer.remember(_remembered(self.ledger))
            believer.count_in(self._there_at_the_beginning())
            self._live = LivePicture(
                self.session.link, self.session.root, believer, self.clock.now, self.waits.fleet
            )
        if self.connections.made != self._read_over and self.connections.away_s > BREAK_S:
            self.hearing.anew(f"the broker was away for {self.connections.away_s:.0f} s")
        if self.connections.made != self._read_over or not self._live.complete:
            self._read_over = self.connections.made
            self._live.read()
        return self._live

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Until a device tells something new, there is another connection, or it is time to stop."""
        ends, made = time.monotonic() + seconds, self.connections.made
        while (left := ends - time.monotonic()) > 0 and self.connections.made == made:
            if self._live is not None and self._live.wait(min(left, _NOTICED_S)):
                return
            if stop.wait(0.0 if self._live is not None else min(left, _NOTICED_S)):
                return

    def picture(self) -> Picture:
        """The fleet now.

        Raises:
            StoreFailed: the disk refused.
        """
        self.fleet()
        live = self.live()
        self.ledger.mark(live.moved())
        self.hearing.look()
        return structs.replace(live.picture(), since=self.hearing.since)

    def standing(self, stream: str) -> Plan | None:
        """The plan that the stream's next one follows."""
        return standing.newer(standing.plans(self.fleet()).get(stream), self.repository.plan(stream))

    def decide(self, make: Make) -> tuple[Line, ...]:
        """Write down what `make` decides by the newest state, and carry it out.

        Somebody may decide meanwhile: then it is decided again, by what is known then.

        Raises:
            Refused: `make` says so.
            Outrun: somebody else decided each time.
            PortError: the disk or the broker failed; what is written stands, and is carried out later.
            ConfigError: something could not be signed.
        """
        lines = self.write(make)
        if lines:
            self.carry_out()
        return lines

    def write(self, make: Make) -> tuple[Line, ...]:
        """As `decide`, and nothing is carried out yet."""

        def seeing(fleet: Fleet) -> Sequence[AnyEntry]:
            picture = self.picture()
            entries = make(fleet, picture)
            for entry in entries:
                if isinstance(entry, Judged):
                    self.ledger.keep(condense(picture, fleet.rollouts[entry.rollout]))
            return entries

        lines = self.write_blind(seeing)
        if any(isinstance(line.entry, Ended) for line in lines):
            self.ledger.forget(letting_go.outdated(self.ledger.lines(), self.ledger.sizes()))
        return lines

    def write_blind(self, make: Callable[[Fleet], Sequence[AnyEntry]]) -> tuple[Line, ...]:
        """As `write`, for what does not depend on how the fleet fares."""
        fault = Outrun("somebody else decides all the time: try again")
        for _ in range(ATTEMPTS):
            entries = make(self.fleet())
            if not entries:
                return ()
            try:
                return self.ledger.append(entries, after=self.newest)
            except Outrun as outrun:
                fault = outrun
                continue
        raise fault

    def record(self, entry: AnyEntry) -> None:
        """Write down what depends on nothing else."""
        self.write_blind(lambda _: (entry,))

    def carry_out(self, *, anew: bool = False) -> None:
        """Bring what the ledger says onto the broker: files first, then every plan that is to stand, signed.

        Args:
            anew: the files of plans that are signed too. Nothing is signed before its files were read back,
                so they stand unless the broker forgot, and who takes something back need not wait for them.

        Raises:
            Fenced: another copy of the workspace steers the fleet.
            PortError: the broker cannot be reached, or does not keep what it acknowledged.
            ConfigError: something could not be signed.
        """
        begun = time.monotonic()
        late, self._overdue = self._overdue, True
        refs = {
            ref.manifest: ref
            for stream, plan in standing.plans(self.fleet()).items()
            if anew or plan != self.repository.plan(stream)
            for ref in carry_out.needed(plan)
            if ref.manifest not in self._placed
        }
        files_of = publishing.manifests(self.repository, refs.values())
        publishing.place(self.session, self.workspace, files_of, self._on_progress)
        self._placed.update(refs)
        with self.acting():
            fence.require_ours(self.look(), str(self.workspace.folder))
            carry_out.sign(self.repository, self.fleet(), noting.newest(self.ledger, self.repository))
            with publishing.signed_already():
                self._send()
            self._published = self.repository.timestamp_version()
        self._overdue = False
        if late:
            self.hearing.anew("what was decided was published late")
        seconds = round(time.monotonic() - begun, 3)
        log.info("carried.out", extra={"timestamp": self._published, "seconds": seconds})

    def _send(self) -> None:
        """One broker over one connection keeps what was read back from it; of others nobody can tell."""
        made = self.connections.made
        before = self._standing if len(self.session.links) == 1 and made == self._standing_over else None
        self._standing = publishing.send_signed(self.session, self.repository, self._on_progress, before)
        self._standing_over = made

    @property
    def outstanding(self) -> bool:
        """Whether something is to be carried out, as far as this process knows."""
        version = self.repository.timestamp_version()
        return self._published != version or any(
            standing.newer(plan, self.repository.plan(stream)) != self.repository.plan(stream)
            for stream, plan in standing.plans(self.fleet()).items()
        )

    def acting(self) -> AbstractContextManager[None]:
        """Nobody else signs or publishes meanwhile."""
        return lock_file.acting(self.workspace.acting_lock)

    def look(self) -> Place:
        """Where the broker stands; to be asked while acting.

        Raises:
            PortError: nobody can tell.
        """
        return publishing.look(self.session, self.repository, self.waits.fence)

    def require_ours(self) -> None:
        """
        Raises:
            Fenced: another copy of the workspace steers the fleet.
            PortError: nobody can tell.
        """
        with self.acting():
            fence.require_ours(self.look(), str(self.workspace.folder))

    def assert_stands(self) -> None:
        """Compare what the broker holds with what was signed here, and bring a broker up that forgot.

        Raises:
            Fenced: another copy of the workspace steers the fleet.
            PortError: nobody can tell, or it could not be brought up.
            ConfigError: as `carry_out`.
        """
        with self.acting():
            place = self.look()
            version = self.repository.timestamp_version()
        match place:
            case Stands():
                self._published = version
            case Behind(found):
                self.reassert(found, "it lost what it was given" if found else "it held nothing of ours")
                self.hearing.anew("the broker had lost what devices look for")
            case Elsewhere():
                fence.require_ours(place, str(self.workspace.folder))

    def reassert(self, found: int, why: str) -> None:
        """Everything anew, the files too."""
        version = self.repository.timestamp_version()
        self.record(Reasserted(timestamp=version, found=found, why=why))
        log.warning("broker.reasserted", extra={"timestamp": version, "found": found, "why": why})
        self._placed.clear()
        self._standing = None
        self.carry_out(anew=True)

    def renew(self) -> None:
        """Sign a fresh timestamp, and publish it.

        Raises:
            As `carry_out`.
        """
        with self.acting():
            fence.require_ours(self.look(), str(self.workspace.folder))
            version = self.repository.timestamp_version() + 1
            self.record(Renewed(timestamp=version))
            self.repository.sign_timestamp(noting.newest(self.ledger, self.repository))
        self.carry_out()


@contextlib.contextmanager
def desk(
    workspace: Workspace, on_progress: OnProgress = lambda *_: None, waits: Waits = _WAITS
) -> Iterator[Desk]:
    """
    Raises:
        LinkDown: the broker cannot be reached.
        ConfigError: a setting is wrong.
    """
    repository = workspaces.open_repository(workspace)
    news = Connections()
    with connected(workspace, news.told) as session:
        yield Desk(workspace, session, repository, news, on_progress, SystemClock(), waits)


def seal_keys(workspace: Workspace) -> Callable[[DeviceId], bytes | None]:
    """A device that is enrolled anew gets another key, so none is kept in memory."""
    folder = workspace.folder / "keys" / "devices"

    def key_of(device: DeviceId) -> bytes | None:
        try:
            return seal.key_from((folder / f"{device}.seal").read_bytes()).secret
        except (OSError, Malformed):
            return None

    return key_of


def _remembered(ledger: SqliteLedger) -> tuple[Seen, ...]:
    """The devices of the picture that was judged last."""
    judged = [line.entry for line in ledger.lines() if isinstance(line.entry, Judged)]
    content = ledger.content(judged[-1].picture) if judged else None
    kept = None if content is None else _expanded(content)
    return () if kept is None else kept.devices


def _expanded(content: bytes) -> Picture | None:
    """None: another version of this program kept it otherwise, and what is remembered begins anew."""
    try:
        return expand(content)
    except Malformed:
        return None
