"""The collection of a fleet's telemetry: from the broker into sums, and from time to time onto the disk.

A process of its own receives (`receiver`), for a broker that waits for a slow reader drops what it has for
it; a thread here sums what that hands over. The session is a clean one: what devices send while no collection
runs is lost, because a broker would hold a second's worth of it, and in its place of what comes then. A span
that lacks windows says so by its counts.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from agent.adapters.clock_system import SystemClock
from agent.core.telemetry.families import Family
from agent.ports.clock import Clock
from agent.ports.link import Message
from agent.wire import topics
from agent.wire.errors import AgentError, ConfigError, StoreFailed
from agent.wire.topics import MAIN, Root
from deploy.adapters.lock_file import Alone
from deploy.adapters.receiver_process import receiving
from deploy.adapters.series_sqlite import SqliteSeries
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk import workspaces
from deploy.core.page import figures, series_query
from deploy.core.page.series import (
    Against,
    Classes,
    Collected,
    DeviceSeries,
    Latency,
    RunningBy,
    SeriesNames,
)
from deploy.core.page.series_bounds import STAGES
from deploy.core.page.series_gathering import Gathering
from deploy.core.page.series_query import Compared, Steps
from deploy.core.page.series_sums import Known, census
from deploy.ports.series import DAY_S, HOURS_KEPT_S, KEPT_S, Series, Span, Wanted

log = logging.getLogger(__name__)

KEPT_EVERY_S: Final = 5.0
BACKLOG_MAX: Final = 65_536
"""Messages that came and were not read yet: a minute of a thousand a second."""
BACKLOG_MAX_BYTES: Final = 268_435_456
BATCH: Final = 16
"""Messages that are summed at a time: some two milliseconds."""
YIELD: Final = 1.0
"""So many times as long as a batch took is left to whoever looks at the page."""
IDLE_S: Final = 0.05
DRIFTS_MAX: Final = 8
"""Releases of which a scrape is told whether their classes drift."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a chart is to show; `until` None: now."""

    since: datetime
    until: datetime | None = None


class Collecting:
    """Its queries may be asked from any thread; they read the disk."""

    def __init__(
        self,
        series: Series,
        clock: Clock,
        root: Root,
        releases: Callable[[], Collection[str] | None] = lambda: None,
        alone: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Args:
            series: where it is kept.
            clock: says in which minute a window came.
            root: of the fleet's topics.
            releases: that there are, as `name@version`; None: nobody knows. May raise an AgentError.
            alone: whether this is the one process that writes what all of them hear. May raise StoreFailed.
        """
        self._series, self._clock, self._root, self._releases = series, clock, root, releases
        self._alone = alone
        self._hardware: Callable[[], Collection[str] | None] = lambda: None
        self._gathering = Gathering(root)
        self._lock = threading.Lock()
        self._inbox: deque[Message] = deque()
        self._laid_bytes = self._read_bytes = 0
        """Each is written by one thread only."""
        self._overrun = self._unkept = self._bytes = 0
        self._fault = ""
        self._stop = threading.Event()

    def take(self, message: Message) -> None:
        """On the receiving thread. What does not fit is lost and counted: memory is bounded."""
        size = len(message.payload)
        if len(self._inbox) >= BACKLOG_MAX or self._laid_bytes - self._read_bytes + size > BACKLOG_MAX_BYTES:
            self._overrun += 1
            return
        self._laid_bytes += size
        self._inbox.append(message)

    def lose(self, count: int) -> None:
        """On the receiving thread: so many came and were lost before they were here."""
        self._overrun += count

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sum what comes, until the block ends; then keep what was summed."""
        self._know()
        thread = threading.Thread(target=self._run, name="collecting")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        kept_ns = self._clock.monotonic_ns()
        while True:
            stopping = self._stop.is_set()
            laid, began_s = self._laid_bytes, time.monotonic()
            more = self._sum()
            if (self._clock.monotonic_ns() - kept_ns) / 1e9 >= KEPT_EVERY_S:
                self.keep()
                kept_ns = self._clock.monotonic_ns()
            if more:
                if self._laid_bytes != laid and len(self._inbox) < BACKLOG_MAX // 2 and not stopping:
                    time.sleep(YIELD * (time.monotonic() - began_s))
                continue
            if stopping:
                self.keep()
                return
            self._stop.wait(IDLE_S)

    def _sum(self) -> bool:
        """A batch of what came; whether there may be more."""
        now = int(self._clock.now().timestamp())
        with self._lock:
            for _ in range(BATCH):
                if not self._inbox:
                    return False
                message = self._inbox.popleft()
                self._read_bytes += len(message.payload)
                self._gathering.take(message.topic, message.payload, now)
        return True

    def keep(self) -> None:
        """Write down what was summed; what cannot be is tried again with the next."""
        self._know()
        with self._lock:
            waiting = self._gathering.waiting()
        try:
            if waiting and self._alone():
                self._series.add(waiting, int(self._clock.now().timestamp()))
            self._bytes = self._series.used_bytes()
            self._fault = ""
            with self._lock:
                self._gathering.kept(waiting)
        except StoreFailed as error:
            self._unkept += 1
            if self._fault != str(error):
                log.warning("series.unkept", extra={"reason": str(error)})
            self._fault = str(error)
            with self._lock:
                self._gathering.put_back(waiting)

    def follow(self, hardware: Callable[[], Collection[str] | None]) -> None:
        """From now on a class of hardware has a name here only where this knows it; on any thread."""
        self._hardware = hardware

    def _know(self) -> None:
        try:
            self._gathering.known = Known(self._releases(), self._hardware())
        except AgentError as error:
            log.warning("series.releases_unread", extra={"reason": str(error)})

    def collected(self) -> Collected:
        with self._lock:
            told = self._gathering.collected()
        return replace(
            told,
            overrun=self._overrun,
            unkept=self._unkept,
            backlog=len(self._inbox),
            bytes=self._bytes,
            why=self._fault or told.why,
        )

    def names(self) -> SeriesNames:
        names = self._series.names()
        since = None if names.since is None else datetime.fromtimestamp(names.since, self._clock.now().tzinfo)
        return SeriesNames(releases=names.releases, hardware=names.hardware, stages=STAGES, since=since)

    def device(self, device: str, pipeline: str = MAIN) -> DeviceSeries:
        with self._lock:
            return self._gathering.device(device, pipeline)

    def latency(
        self, stage: str, range_: Range, release: str | None = None, hardware: str | None = None
    ) -> Latency:
        """
        Raises:
            ConfigError: there is no such stage, or the range is none.
            StoreFailed: the disk refused.
        """
        if stage not in STAGES:
            raise ConfigError(f"there is no stage {stage[:40]!r}: use one of {', '.join(STAGES)}")
        grid = self._grid(range_)
        wanted = Wanted(_span(grid), grid.since, grid.until, release, hardware)
        return series_query.latency(stage, grid, self._series.durations(wanted, stage))

    def classes(self, release: str, range_: Range, against: Range | None = None) -> Classes:
        """
        Args:
            release: as `name@version`.
            range_: what is to be shown.
            against: the reference; None: the release's first day in this fleet, once it is over.

        Raises:
            ConfigError: a range is none.
            StoreFailed: the disk refused.
        """
        grid = self._grid(range_)
        heard = self._series.answers(Wanted(_span(grid), grid.since, grid.until, release))
        return series_query.classes(release, grid, heard, self._reference(release, against))

    def count(self, running: Iterable[str]) -> None:
        """Keep how many pipelines run which release now; what cannot be kept is missing in the series.

        Args:
            running: of each pipeline, as `name@version`, or empty.
        """
        try:
            if self._alone():
                self._series.count(int(self._clock.now().timestamp()), census(running))
        except StoreFailed as error:
            log.warning("series.uncounted", extra={"reason": str(error)})

    def running_by(self, range_: Range) -> RunningBy:
        """
        Raises:
            As `latency`.
        """
        grid = self._grid(range_)
        return series_query.running(grid, self._series.counted(Wanted(_span(grid), grid.since, grid.until)))

    def families(self) -> tuple[Family, ...]:
        """For the metrics of the fleet, but for its drifts."""
        with self._lock:
            measured = self._gathering.families()
        return *measured, *figures.of_collection(self.collected())

    def drifts(self) -> tuple[Classes, ...]:
        """Of the releases that were heard last, the last day against their first: so much of a camera's
        world is the same each day, and so little each hour.

        Raises:
            StoreFailed: the disk refused.
        """
        day = Range(self._clock.now() - timedelta(seconds=DAY_S))
        found = (self.classes(release, day) for release in self._series.names().releases[:DRIFTS_MAX])
        return tuple(classes for classes in found if any(classes.frames))

    def _grid(self, range_: Range) -> Steps:
        now = self._clock.now()
        until = min(range_.until or now, now)
        if range_.since >= until:
            raise ConfigError(f"a range from {range_.since} to {until} is none: begin before it ends")
        since = max(range_.since, now - timedelta(seconds=HOURS_KEPT_S))
        reach = (span for span, kept_s in KEPT_S.items() if now - since <= timedelta(seconds=kept_s))
        return series_query.steps(since, until, next(reach))

    def _reference(self, release: str, against: Range | None) -> Compared | None:
        if against is None:
            began = self._series.began(release)
            if began is None:
                return None
            hour = began - began % Span.HOUR
            day = Steps(hour, hour + DAY_S, Span.HOUR)
            if self._clock.now().timestamp() < day.until:
                return Compared(day, Against.TO_COME, ())
            return self._compared(release, day, Against.SAME_HOURS)
        return self._compared(release, self._grid(against), Against.GIVEN)

    def _compared(self, release: str, grid: Steps, kind: Against) -> Compared:
        return Compared(
            grid, kind, self._series.answers(Wanted(_span(grid), grid.since, grid.until, release))
        )


@contextmanager
def collecting(workspace: Workspace) -> Iterator[Collecting]:
    """The collection of this workspace's fleet, whether or not a broker is there.

    Raises:
        ConfigError: a setting is wrong.
    """
    repository = workspaces.open_repository(workspace)

    def releases() -> frozenset[str] | None:
        """Where nothing was released yet, whatever devices say."""
        return frozenset(f"{ref.name}@{ref.version}" for ref in repository.releases()) or None

    series, root = (
        SqliteSeries(workspace.folder / "series.sqlite"),
        topics.root(workspace.settings.broker.root),
    )
    with closing(Alone(workspace.folder / "series.lock")) as alone:
        collection = Collecting(series, SystemClock(), root, releases, alone)
        with collection.running(), receiving(workspace.folder, collection.take, collection.lose):
            yield collection


def _span(grid: Steps) -> Span:
    """The coarsest that the steps are made of."""
    return max(span for span in Span if grid.step_s % span == 0)
