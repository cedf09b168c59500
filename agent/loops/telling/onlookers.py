"""What the device's page is shown: rings of what was, and a stream of what happens, for whoever listens."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from agent.core.page.inbox import Inbox
from agent.core.page.words import (
    EVENTS_KEPT,
    FRAMES_KEPT,
    WINDOWS_KEPT,
    Broker,
    Happened,
    Happening,
    Measured,
    Now,
    Offered,
    Past,
    PipelineNow,
    Seen,
    Told,
    Turned,
)
from agent.loops.telling.pictures import Pictures
from agent.loops.telling.upstream import Upstream
from agent.ports.children import Worker
from agent.ports.clock import Clock
from agent.ports.onlooker import Onlooker
from agent.wire.errors import Unavailable
from agent.wire.ipc import Predicted, Snapped
from agent.wire.reports import Ended, Event, Report, Telemetry
from agent.wire.topics import DeviceId

BATCH_S: Final = 0.1
"""What happens within it is told at once: a fast camera does not wake every browser as often."""


class Line(Protocol):
    """What a pipeline must be able to do for its part of the page."""

    @property
    def name(self) -> str: ...

    @property
    def report(self) -> Report: ...

    @property
    def worker(self) -> Worker: ...

    @property
    def past(self) -> tuple[Past, ...]: ...

    @property
    def offered(self) -> Offered | None: ...

    def watch(self, onlooker: Onlooker) -> Callable[[], None]:
        """Until the function returned here is called."""
        ...

    def accept(self, version: str) -> None:
        """
        Raises:
            Unavailable: no such release waits.
        """
        ...

    def pause(self, *, paused: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class About:
    """What does not change while the agent runs."""

    device: DeviceId
    agent: str
    window_s: Callable[[], float]
    upstream: Upstream | None
    """None: it has no broker."""
    may: tuple[str, ...] = ("accept", "pause", "resume")


class Onlookers:
    """Implements `agent.ports.page.Showing`. Runs on the event loop."""

    def __init__(self, about: About, lines: tuple[Line, ...], clock: Clock) -> None:
        self._about, self._clock = about, clock
        self._inboxes: dict[Inbox, asyncio.Event] = {}
        self._events: deque[Happened] = deque(maxlen=EVENTS_KEPT)
        self._lines = {
            line.name: _Onlooker(line, self._tell, self._happened, self._listened) for line in lines
        }
        self._unwatch = about.upstream.watch(self._turned) if about.upstream else _nothing

    def close(self) -> None:
        """Look no more."""
        self._unwatch()
        for line in self._lines.values():
            line.close()

    def _turned(self, broker: Broker) -> None:
        self._tell(lambda: Turned(broker=broker))

    def now(self) -> Now:
        return Now(
            at=self._clock.now(),
            device=self._about.device,
            agent=self._about.agent,
            broker=None if self._about.upstream is None else self._about.upstream.broker,
            window_s=self._about.window_s(),
            pipelines={name: line.now() for name, line in self._lines.items()},
            events=tuple(reversed(self._events)),
            may=self._about.may,
        )

    @contextmanager
    def listening(self) -> Iterator[AsyncIterator[tuple[Happening, ...]]]:
        inbox, bell = Inbox(), asyncio.Event()
        self._inboxes[inbox] = bell
        try:
            yield _batches(inbox, bell)
        finally:
            del self._inboxes[inbox]

    async def frame(self, pipeline: str, after: int) -> Snapped:
        return await self._line(pipeline).pictures.after(after)

    async def accept(self, pipeline: str, version: str) -> None:
        self._line(pipeline).line.accept(version)

    def pause(self, pipeline: str, *, paused: bool) -> None:
        self._line(pipeline).line.pause(paused=paused)

    def _line(self, name: str) -> "_Onlooker":
        line = self._lines.get(name)
        if line is None:
            raise Unavailable(f"this device has no pipeline {name!r}")
        return line

    def _happened(self, happened: Happened) -> None:
        self._events.append(happened)

    def _listened(self) -> bool:
        return bool(self._inboxes)

    def _tell(self, happening: Callable[[], Happening]) -> None:
        """It is put into words only where somebody listens."""
        if self._inboxes:
            words = happening()
            for inbox, bell in self._inboxes.items():
                inbox.put(words)
                bell.set()


def _nothing() -> None:
    pass


async def _batches(inbox: Inbox, bell: asyncio.Event) -> AsyncGenerator[tuple[Happening, ...], None]:
    while True:
        await bell.wait()
        await asyncio.sleep(BATCH_S)
        bell.clear()
        yield inbox.take()


class _Frame(NamedTuple):
    """As it came; what a page is told of it is made when one asks."""

    seen: Predicted
    name: str
    version: str
    delegate: str


class _Onlooker:
    """Of one pipeline; see `agent.ports.onlooker.Onlooker`."""

    def __init__(
        self,
        line: Line,
        tell: Callable[[Callable[[], Happening]], None],
        happened: Callable[[Happened], None],
        listened: Callable[[], bool],
    ) -> None:
        self.line, self.pictures = line, Pictures(line.worker)
        self._tell, self._happened, self._listened = tell, happened, listened
        self._frames: deque[_Frame] = deque(maxlen=FRAMES_KEPT)
        self._windows: deque[Telemetry] = deque(maxlen=WINDOWS_KEPT)
        self.close = line.watch(self)

    def now(self) -> PipelineNow:
        return PipelineNow(
            report=self.line.report,
            offered=self.line.offered,
            frames=tuple(map(self._words, self._frames)),
            telemetry=tuple(self._windows),
            past=self.line.past,
        )

    def saw(self, seen: Predicted, name: str, version: str, delegate: str) -> None:
        frame = _Frame(seen, name, version, delegate)
        self._frames.append(frame)
        self.pictures.arrived()
        if self._listened():
            self._tell(lambda: self._words(frame))

    def told(self, report: Report) -> None:
        self._tell(lambda: Told(report=report, offered=self.line.offered))

    def measured(self, telemetry: Telemetry) -> None:
        self._windows.append(telemetry)
        self._tell(lambda: Measured(pipeline=self.line.name, telemetry=telemetry))

    def happened(self, event: Event) -> None:
        happened = Happened(pipeline=self.line.name, event=event)
        self._happened(happened)
        self._tell(lambda: happened)

    def ended(self, ended: Ended) -> None:
        """The report that follows says so too."""

    def _words(self, frame: _Frame) -> Seen:
        seen = frame.seen
        return Seen(
            pipeline=self.line.name,
            at=seen.captured_at,
            sequence=seen.sequence,
            frame=seen.frame,
            model=frame.name,
            version=frame.version,
            delegate=frame.delegate,
            predictions=seen.predictions,
            latency_ms=seen.latency_ms,
        )
