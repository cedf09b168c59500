"""Follows one rollout over the ledger and over what devices say; nothing is decided or written here."""

import contextlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agent.wire.topics import DeviceId
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk.controlling import Desk, desk
from deploy.core import history
from deploy.core.devices import outlook
from deploy.core.devices.outlook import Outlook, WaveView
from deploy.core.refusal import Refused
from deploy.core.rollouts.picture import Picture
from deploy.core.rollouts.state import Fleet, Rollout
from deploy.core.rollouts.tally import Standing
from deploy.core.rollouts.words import Line, Verdict

PERIOD_S: Final = 0.5
"""At least, between two looks; and three times as long as a look takes."""
RATE_S: Final = 15.0
"""Over which the rate of the downloads is taken."""
UNATTENDED_S: Final = 20.0
"""For so long a verdict may stand without anything following from it."""
EVENTS: Final = 50
NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class View:
    outlook: Outlook
    rate_bytes_s: float
    events: tuple[str, ...]
    """The oldest first."""
    note: str
    """What keeps this from being true, or the rollout from going on; else empty."""


class Watcher:
    def __init__(self, desk: Desk, name: str) -> None:
        self._desk, self._name = desk, name
        self._lines: list[Line] = []
        self._told = 0
        self._events: deque[str] = deque(maxlen=EVENTS)
        self._standings: Mapping[DeviceId, Standing] | None = None
        self._coming: tuple[tuple[int, int], tuple[WaveView, ...]] = ((-2, 0), ())
        self._bytes: deque[tuple[float, int, int]] = deque()
        self._idle_since: float | None = None
        self._away_since: datetime | None = None
        self._picture: Picture | None = None
        self._took_s = 0.0
        self._stop = threading.Event()

    def look(self) -> View:
        """The rollout now.

        Raises:
            StoreFailed: the ledger cannot be read.
        """
        begun = time.monotonic()
        rollout, picture = self._rollout(), self._see()
        found = outlook.outlook(rollout, picture, self._ahead(rollout, picture))
        self._tell(found)
        view = View(found, self._rate(found), tuple(self._events), self._note(found))
        self._took_s = time.monotonic() - begun
        return view

    def wait(self) -> None:
        """Until something is new; not too often, for a large fleet always says something."""
        self._desk.wait(3 * PERIOD_S, self._stop)
        self._stop.wait(max(PERIOD_S, 3 * self._took_s))

    def _rollout(self) -> Rollout:
        rollout = self._desk.fleet().rollouts[self._name]
        self._lines += self._desk.ledger.lines(len(self._lines))
        return rollout

    def _see(self) -> Picture:
        if not self._desk.connections.up and self._picture is not None:
            self._away_since = self._away_since or self._desk.now
            return self._picture
        self._away_since = None
        self._picture = self._desk.live().picture()
        return self._picture

    def _ahead(self, rollout: Rollout, picture: Picture) -> tuple[WaveView, ...]:
        """Counted anew for each wave, and when the fleet has grown."""
        of = (rollout.wave, len(picture.devices))
        if self._coming[0] != of or rollout.aborted is not None or rollout.outcome is not None:
            self._coming = (of, outlook.ahead(rollout, picture))
        return self._coming[1]

    def _tell(self, found: Outlook) -> None:
        every = [each for each in history.history(self._lines) if each.rollout == self._name]
        for told in every[self._told :]:
            self._events.append(f"{told.at:%H:%M:%S} {told.by}: {told.what}")
        self._told = len(every)
        before, self._standings = self._standings, found.standings
        if before is not None:
            self._events.extend(f"{found.at:%H:%M:%S} {each}" for each in turned(before, found.standings))

    def _rate(self, found: Outlook) -> float:
        now_s, wave = time.monotonic(), found.rollout.wave
        self._bytes.append((now_s, wave, found.bytes_left))
        while self._bytes[0][0] < now_s - RATE_S or self._bytes[0][1] != wave:
            self._bytes.popleft()
        since_s, _, left = self._bytes[0]
        return max(0.0, left - found.bytes_left) / (now_s - since_s) if now_s > since_s else 0.0

    def _note(self, found: Outlook) -> str:
        if self._away_since is not None:
            return f"the broker is away since {self._away_since:%H:%M:%S}: this is what was known then"
        if found.missing:
            return f"incomplete: {found.missing[0]}"
        now_s, judged = time.monotonic(), found.judgement
        idle = judged is None or judged.verdict is Verdict.HOLD or found.rollout.paused
        if idle or found.rollout.outcome is not None:
            self._idle_since = None
            return "paused: shoal rollout resume" if found.rollout.paused else ""
        self._idle_since = self._idle_since or now_s
        if judged is None or now_s - self._idle_since < UNATTENDED_S:
            return ""
        return f"the gate says {judged.verdict}, and nothing follows: is shoal serve running?"


def turned(before: Mapping[DeviceId, Standing], now: Mapping[DeviceId, Standing]) -> Iterator[str]:
    """Who stands otherwise than before; a few by their names, many by their number."""
    moves: dict[tuple[Standing | None, Standing], list[DeviceId]] = defaultdict(list)
    for device, standing in now.items():
        if before.get(device) is not standing:
            moves[before.get(device), standing].append(device)
    for (old, new), devices in moves.items():
        named = ", ".join(devices) if len(devices) <= NAMED else f"{len(devices)} devices"
        yield f"{named}: {new}" if old is None else f"{named}: {old}, now {new}"


@contextlib.contextmanager
def watching(workspace: Workspace, name: str, stream: str) -> Iterator[Watcher]:
    """
    Raises:
        Refused: there is no such rollout.
        LinkDown: the broker cannot be reached.
        ConfigError: a setting is wrong.
    """
    with desk(workspace) as opened:
        yield Watcher(opened, chosen(opened.fleet(), name, stream))


def chosen(fleet: Fleet, name: str, stream: str) -> str:
    """The name that was given, or that of the rollout that goes on, or of the last.

    Raises:
        Refused: there is none.
    """
    if name in fleet.rollouts:
        return name
    every = [each.name for each in fleet.rollouts.values() if each.order.stream == stream]
    if name:
        known = f": there are {', '.join(every[-5:])}" if every else " and none has begun yet"
        raise Refused(f"no rollout is named {name}{known}")
    if not every:
        raise Refused(f"no rollout has begun on stream {stream}: shoal rollout start RELEASE")
    active = fleet.active(stream)
    return every[-1] if active is None else active.name
