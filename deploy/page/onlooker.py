"""What the page knows of the fleet, kept by one thread that looks again and again.

Nothing is decided here, and nothing written. Of thousands of devices only those are judged anew that said
something; all of them whenever somebody decided something, and every few seconds, for deadlines pass.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from agent.adapters.web.events import event
from agent.core.telemetry.families import Family
from agent.wire.errors import AgentError, ConfigError, PortError
from agent.wire.topics import MAIN, DeviceId
from deploy.adapters import lock_file
from deploy.assemble.desk import sight
from deploy.assemble.desk.controlling import Desk
from deploy.core import history
from deploy.core.devices import outlook, roster
from deploy.core.devices.cases import Stream, cases
from deploy.core.devices.fleet import Row as Judged
from deploy.core.devices.outlook import WaveView
from deploy.core.devices.roster import Counts
from deploy.core.devices.why import Case
from deploy.core.history import Told
from deploy.core.page import steering, table
from deploy.core.page.figures import of_fleet
from deploy.core.page.words import Brief, Changed, Controller, FleetNow, Row, Turned
from deploy.core.refusal import Refused
from deploy.core.rollouts import standing
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.state import Fleet, Rollout
from deploy.core.rollouts.words import Judged as Judgement
from deploy.core.rollouts.words import Line, Started
from deploy.page.broker_news import BrokerNews

log = logging.getLogger(__name__)

ALL_S: Final = 10.0
"""Between two looks at every device, and twenty times as long as one keeps a processor busy."""
ROLLOUTS_S: Final = 2.0
READ_S: Final = 300.0
"""After which all is read again: a broker drops what it has for a listener that was too slow."""
BURST: Final = 500
"""Devices that spoke between two looks: a Mosquitto as it comes keeps 1,000 messages for us."""
AFTER_BURST_S: Final = 5.0
TOLD_MAX: Final = 2_000
"""Rows that are told as what changed, some 700 kB; where more did, the whole table packed is less."""
NOBODY: Final = (
    "no controller runs here: what is ordered stands in the ledger, and nobody carries it out until "
    "shoal serve runs"
)
NO_COUNTS: Final = Counts(devices=0, online=0, offline=0, standings={}, codes={})


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the table showed at one version of it, replaced as a whole: it is read on other threads."""

    at: datetime
    version: int = 0
    counts: Counts = NO_COUNTS
    rows: Mapping[str, Row] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    fault: str = ""


@dataclass(slots=True)
class _Ledger:
    """What is kept of the lines: their words, and never their tallies, which name every device."""

    told: list[Told] = field(default_factory=list)
    started: dict[str, Line] = field(default_factory=dict)
    failed: dict[str, dict[DeviceId, datetime]] = field(default_factory=dict)

    def take(self, lines: tuple[Line, ...]) -> tuple[Told, ...]:
        before = [*self.started.values()]
        new = tuple(history.history([*before, *lines]))[len(before) :]
        for line in lines:
            match line.entry:
                case Started(order=order):
                    self.started[order.rollout] = line
                case Judgement(rollout=name) as judged:
                    self.failed[name] = history.failing(self.failed.get(name, {}), judged, line.at)
                case _:
                    pass
        self.told += new
        return new


class Onlooker:
    """All of it on one thread, but `version`, `turned` and `now`.

    Args:
        desk: whose session may be without a broker.
        news: of that broker.
    """

    def __init__(self, desk: Desk, news: BrokerNews) -> None:
        self.desk, self._news = desk, news
        self.workspace = desk.workspace
        self.stream = desk.workspace.settings.fleet.stream
        self.fleet, self.fault = Fleet(), ""
        self.picture = self._remembered()
        self.briefs: dict[str, Brief] = {}
        self._shown = _Shown(at=self.picture.at)
        self._told_of = Turned(broker=news.broker, controller=self._controller())
        self._ledger, self._newest = _Ledger(), 0
        self._seen: Mapping[str, Seen] = {}
        self._judged: dict[str, tuple[Judged, ...]] = {}
        self._streams: dict[str, Stream] = {}
        self._ahead: dict[str, tuple[tuple[int, int], tuple[WaveView, ...]]] = {}
        self._read_due_s = float("inf")
        self._all_at, self._took_s, self._rollouts_at = float("-inf"), 0.0, float("-inf")

    @property
    def version(self) -> int:
        """Of the table; 0: nothing was looked at yet."""
        return self._shown.version

    @property
    def rows(self) -> Mapping[str, Row]:
        """By `Row.key`."""
        return self._shown.rows

    @property
    def lines(self) -> list[Told]:
        """Of the ledger, the oldest first."""
        return self._ledger.told

    @property
    def turned(self) -> Turned:
        return self._told_of

    def turn(self) -> bytes:
        """Look, and say what is new, as server-sent events. That a broker came is said before the fleet is
        read from it, and what was remembered is shown before that is done for the first time.
        """
        lines = self._read()
        events = [self._turn_broker(), *(event("line", line) for line in lines)]
        if self.version and not any(events[:1]):
            self._see()
        events.append(self._look_at_devices(decided=bool(lines)))
        events += self._look_at_rollouts(decided=bool(lines))
        return b"".join(events)

    def now(self) -> FleetNow:
        shown, turned = self._shown, self._told_of
        rows = sorted(shown.rows.values(), key=lambda row: (row.device, row.pipeline != MAIN, row.pipeline))
        return FleetNow(
            version=shown.version,
            at=shown.at,
            broker=turned.broker,
            controller=turned.controller,
            counts=shown.counts,
            rows=tuple(rows),
            missing=shown.missing,
            refused=shown.refused,
            fault=shown.fault,
        )

    def running(self) -> tuple[str, ...] | None:
        """What each pipeline runs; None: it is not known of all of them. On any thread."""
        shown = self._shown
        known = shown.version and self._told_of.broker.up and not (shown.missing or shown.fault)
        return tuple(row.running for row in shown.rows.values()) if known else None

    def hardware(self) -> frozenset[str] | None:
        """The classes that there are; None: nothing is known yet. On any thread."""
        return frozenset(row.hardware for row in self.rows.values()) or None

    def figures(self) -> tuple[Family, ...]:
        """
        Raises:
            StoreFailed: what is signed cannot be read.
        """
        expires = {str(role): at for role, at in self.desk.repository.expires().items()}
        return tuple(of_fleet(self.now(), self.briefs.values(), len(self.lines), expires))

    def outlook(self, rollout: Rollout) -> outlook.Outlook:
        return outlook.outlook(rollout, self.picture, self._coming(rollout))

    def case_of(self) -> Callable[[str, str], Case]:
        return cases(self.picture, self.fleet.members, self.stream, self._stream)

    def seen(self, device: str) -> Seen | None:
        return self._seen.get(device)

    def newest_of(self, stream: str) -> str:
        """The last rollout that began in it."""
        return [each.name for each in self.fleet.rollouts.values() if each.order.stream == stream][-1]

    def by(self, rollout: str) -> str:
        """Who began it."""
        line = self._ledger.started.get(rollout)
        return "" if line is None else line.entry.by

    def _remembered(self) -> Picture:
        """As the fleet was read here the last time, until it is read again."""
        try:
            return sight.remember(self.workspace).picture
        except (ConfigError, PortError):
            return Picture(at=self.desk.now, devices=(), missing=("the fleet was not read yet",))

    def _read(self) -> tuple[Told, ...]:
        try:
            self.fleet = self.desk.fleet()
            lines = self.desk.ledger.lines(self._newest)
        except PortError as error:
            self.fault = str(error)
            return ()
        self.fault = ""
        if lines:
            self._newest = lines[-1].number
        return self._ledger.take(lines)

    def _see(self) -> None:
        """Without a broker, what was known stays."""
        if not self._news.connections.up or self.fault:
            return
        try:
            live = self.desk.live()
            if live.age_s > READ_S or time.monotonic() > self._read_due_s:
                self._read_due_s = float("inf")
                live.read()
            self.picture = live.picture()
        except PortError as error:
            self.fault = str(error)

    def _controller(self) -> Controller:
        held = lock_file.controller(self.workspace.controller_lock)
        if held is None:
            return Controller(runs=False, words=NOBODY)
        return Controller(runs=True, words=f"{held.words} carries orders out")

    def _turn_broker(self) -> bytes:
        now = Turned(broker=self._news.broker, controller=self._controller())
        before, self._told_of = self._told_of, now
        return b"" if now == before else event("broker", now)

    def _look_at_devices(self, *, decided: bool) -> bytes:
        begun, worked = time.monotonic(), time.thread_time()
        everybody = decided or begun - self._all_at >= max(ALL_S, 20 * self._took_s)
        moved = table.moved(self._seen, self.picture)
        if len(moved) > BURST and self._seen:
            self._read_due_s = begun + AFTER_BURST_S
        names = table.ids(self.picture, self.fleet.members) if everybody else moved
        self._seen = {seen.id: seen for seen in self.picture.devices}
        if everybody:
            self._streams.clear()
        told = self._judge(names, everybody=everybody)
        if everybody:
            self._all_at, self._took_s = begun, time.thread_time() - worked
        return told

    def _judge(self, names: tuple[str, ...], *, everybody: bool) -> bytes:
        try:
            judged = table.judge(names, self._seen, self.case_of())
        except AgentError as error:
            # A wave of the rollout that goes on cannot be cut, or the repository is damaged: the controller
            # says so, too.
            self.fault = str(error)
            return self._say(table.Difference((), ()), self.rows)
        rows = {
            row.key: row
            for name, pipelines in judged.items()
            for row in (table.shown(each, self._seen.get(name)) for each in pipelines)
        }
        before = self.rows if everybody else self._of(names)
        found = table.difference(before, rows)
        self._judged = judged if everybody else self._judged | judged
        kept = {} if everybody else {key: row for key, row in self.rows.items() if key not in before}
        return self._say(found, kept | rows if found.rows or found.gone else self.rows)

    def _count(self) -> Counts:
        return roster.counts([row for rows in self._judged.values() for row in rows])

    def _of(self, names: tuple[str, ...]) -> dict[str, Row]:
        """The rows of these devices."""
        wanted = frozenset(names)
        return {key: row for key, row in self.rows.items() if row.device in wanted} if wanted else {}

    def _say(self, found: table.Difference, rows: Mapping[str, Row]) -> bytes:
        before, picture = self._shown, self.picture
        now = _Shown(
            version=before.version + 1,
            at=picture.at,
            counts=before.counts if rows is before.rows else self._count(),
            rows=rows,
            missing=picture.missing,
            refused=picture.refused,
            fault=self.fault,
        )
        if before.version and not (found.rows or found.gone) and _besides(now) == _besides(before):
            return b""
        self._shown = now
        anew = len(found.rows) + len(found.gone) > TOLD_MAX
        changed = Changed(
            version=now.version,
            at=now.at,
            counts=now.counts,
            rows=() if anew else found.rows,
            gone=() if anew else found.gone,
            anew=anew,
            missing=now.missing,
            refused=now.refused,
            fault=now.fault,
        )
        return event("fleet", changed)

    def _look_at_rollouts(self, *, decided: bool) -> list[bytes]:
        """The newest of each stream: older ones change no more."""
        if not decided and time.monotonic() - self._rollouts_at < ROLLOUTS_S:
            return []
        self._rollouts_at = time.monotonic()
        newest = {each.order.stream: each.name for each in self.fleet.rollouts.values()}
        briefs = {
            name: self._brief(rollout, live=newest[rollout.order.stream] == name)
            for name, rollout in self.fleet.rollouts.items()
        }
        before, self.briefs = self.briefs, briefs
        return [event("rollout", brief) for name, brief in briefs.items() if before.get(name) != brief]

    def _brief(self, rollout: Rollout, *, live: bool) -> Brief:
        known = self.briefs.get(rollout.name)
        if not live and known is not None and known.outcome is not None:
            return known
        found = self.outlook(rollout) if live else outlook.past(rollout, self.picture.at)
        return steering.brief(found, self.by(rollout.name))

    def _coming(self, rollout: Rollout) -> tuple[WaveView, ...]:
        """Counted anew for each wave, and when the fleet has grown."""
        of = (rollout.wave, len(self.picture.devices))
        known = self._ahead.get(rollout.name)
        if known is None or known[0] != of or rollout.aborted is not None or rollout.outcome is not None:
            try:
                known = (of, outlook.ahead(rollout, self.picture))
            except Refused:
                known = (of, ())
            self._ahead[rollout.name] = known
        return known[1]

    def _stream(self, name: str) -> Stream:
        if name not in self._streams:
            every = [each for each in self.fleet.rollouts.values() if each.order.stream == name]
            rollout = self.fleet.active(name) or (every[-1] if every else None)
            plan = standing.newer(standing.plans(self.fleet).get(name), self.desk.repository.plan(name))
            coming = () if rollout is None else outlook.to_come(rollout, self.picture)
            failed = {} if rollout is None else self._ledger.failed.get(rollout.name, {})
            self._streams[name] = Stream(plan, rollout, coming, failed)
        return self._streams[name]


def _besides(shown: _Shown) -> tuple[object, ...]:
    return shown.missing, shown.refused, shown.fault
