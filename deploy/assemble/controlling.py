"""The desk at which a fleet is steered: its memory, its signatures, its broker and its picture together."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from agent.adapters.clock_system import SystemClock
from agent.ports.clock import Clock
from agent.wire import seal
from agent.wire.documents import Plan
from agent.wire.errors import Malformed
from agent.wire.topics import DeviceId, Digest
from deploy.adapters.ledger_sqlite import SqliteLedger
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.workspace import Workspace
from deploy.assemble import publishing, workspaces
from deploy.assemble.publishing import OnProgress
from deploy.assemble.session import Session, connected
from deploy.core.rollouts import standing, state
from deploy.core.rollouts.believing import Believer
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.state import Fleet
from deploy.core.rollouts.words import AnyEntry, Judged, Line
from deploy.flows import carry_out
from deploy.flows.live_picture import LivePicture
from deploy.ports.ledger import Outrun

log = logging.getLogger(__name__)

ATTEMPTS: Final = 5
Make = Callable[[Fleet, Picture], Sequence[AnyEntry]]


def open_ledger(workspace: Workspace) -> SqliteLedger:
    return SqliteLedger(workspace.ledger, SystemClock())


class Desk:
    """Reads, decides, writes down, and then does what was written."""

    def __init__(
        self,
        workspace: Workspace,
        session: Session,
        repository: TufRepository,
        ledger: SqliteLedger,
        on_progress: OnProgress,
        clock: Clock,
    ) -> None:
        self.workspace, self.session = workspace, session
        self.repository, self.ledger = repository, ledger
        self.clock = clock
        self._on_progress = on_progress
        self._newest = 0
        self._fleet = Fleet()
        self._live: LivePicture | None = None
        self._placed: set[Digest] = set()
        """Manifests of the releases whose files stand."""

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def fleet(self) -> Fleet:
        """What the ledger says now; only its new lines are read."""
        new = self.ledger.lines(self._newest)
        if new:
            self._fleet = state.fold(new, self._fleet)
            self._newest = new[-1].number
        return self._fleet

    @property
    def live(self) -> LivePicture:
        """Read when it is first asked for, and listening from then on."""
        if self._live is None:
            believer = Believer(self.session.root, _keys(self.workspace), self.fleet().members)
            believer.marks.update(self.ledger.marks())
            believer.remember(_remembered(self.ledger))
            self._live = LivePicture(self.session.link, self.session.root, believer, self.clock.now)
            self._live.read()
        return self._live

    def picture(self) -> Picture:
        """
        Raises:
            StoreFailed: the disk refused.
        """
        live = self.live
        live.enrol(self.fleet().members)
        self.ledger.mark(live.moved())
        return live.picture()

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
        fault = Outrun("somebody else decides all the time: try again")
        for _ in range(ATTEMPTS):
            fleet, picture = self.fleet(), self.picture()
            entries = make(fleet, picture)
            if not entries:
                return ()
            if any(isinstance(entry, Judged) for entry in entries):
                self.ledger.keep(msgspec.json.encode(picture))
            try:
                lines = self.ledger.append(entries, after=self._newest)
            except Outrun as outrun:
                fault = outrun
                continue
            for line in lines:
                log.info("ledger.line", extra={"number": line.number, "kind": type(line.entry).__name__})
            return lines
        raise fault

    def carry_out(self) -> None:
        """Sign every plan that is to stand, and bring everything onto the broker, files first.

        Raises:
            PortError: the broker cannot be reached, or does not keep what it acknowledged.
            ConfigError: something could not be signed.
        """
        fleet = self.fleet()
        refs = {
            ref.manifest: ref for plan in standing.plans(fleet).values() for ref in carry_out.needed(plan)
        }
        lacking = [ref for digest, ref in refs.items() if digest not in self._placed]
        carry_out.sign(self.repository, fleet)
        files_of = publishing.manifests(self.repository, lacking)
        with publishing.signed_already():
            publishing.send(self.session, self.workspace, self.repository, files_of, self._on_progress)
        self._placed.update(ref.manifest for ref in lacking)


@contextlib.contextmanager
def desk(workspace: Workspace, on_progress: OnProgress = lambda *_: None) -> Iterator[Desk]:
    """
    Raises:
        LinkDown: the broker cannot be reached.
        ConfigError: a setting is wrong.
    """
    repository = workspaces.open_repository(workspace)
    with connected(workspace) as session:
        yield Desk(workspace, session, repository, open_ledger(workspace), on_progress, SystemClock())


def _keys(workspace: Workspace) -> Callable[[DeviceId], bytes | None]:
    folder, known = workspace.folder / "keys" / "devices", dict[DeviceId, bytes]()

    def key_of(device: DeviceId) -> bytes | None:
        if device not in known:
            try:
                known[device] = seal.key_from((folder / f"{device}.seal").read_bytes())
            except (OSError, Malformed):
                return None
        return known[device]

    return key_of


def _remembered(ledger: SqliteLedger) -> tuple[Seen, ...]:
    """The devices of the picture that was judged last."""
    judged = [line.entry for line in ledger.lines() if isinstance(line.entry, Judged)]
    content = ledger.content(judged[-1].picture) if judged else None
    return () if content is None else msgspec.json.decode(content, type=Picture).devices
