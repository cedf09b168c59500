"""A device that does what a test says, behind the real server of its page."""

import asyncio
import contextlib
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec.structs import replace
from PIL import Image

from agent.adapters.web.device import DevicePage
from agent.adapters.web.events import Streams
from agent.adapters.web.gate import Gate, Users
from agent.adapters.web.server import Down, Server, Up
from agent.adapters.web.site import site
from agent.core.page.place import Place
from agent.core.page.words import Happened, Happening, Measured, Now, PipelineNow, Seen, Told, Turned
from agent.wire.errors import CameraFailed, Unavailable
from agent.wire.ipc import Snapped


def jpeg(shade: int = 90) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (640, 480), (shade, 120, 140)).save(written, "JPEG")
    return written.getvalue()


@dataclass
class Scripted:
    """Implements `agent.ports.page.Showing`. All but `tell` happens on the server's event loop."""

    current: Now
    picture: bytes = field(default_factory=jpeg)
    asked: int = 0
    """Pictures."""
    accepted: list[tuple[str, str]] = field(default_factory=list)
    paused: list[tuple[str, bool]] = field(default_factory=list)
    refuses: str = ""
    """What `accept` says no with."""
    _over: bool = False
    _listeners: list["asyncio.Queue[tuple[Happening, ...]]"] = field(default_factory=list)
    _newest: dict[str, Seen] = field(default_factory=dict)
    _turned: asyncio.Condition = field(default_factory=asyncio.Condition)

    def now(self) -> Now:
        return replace(self.current, at=datetime.now(UTC))  # noqa: TID251 - a page shows the time of day

    @contextlib.contextmanager
    def listening(self) -> Iterator[AsyncIterator[tuple[Happening, ...]]]:
        queue: asyncio.Queue[tuple[Happening, ...]] = asyncio.Queue()
        self._listeners.append(queue)
        try:
            yield _each(queue)
        finally:
            self._listeners.remove(queue)

    async def frame(self, pipeline: str, after: int) -> Snapped:
        self.asked += 1
        if pipeline not in self.current.pipelines:
            raise Unavailable(f"there is no pipeline {pipeline}")
        if self.refuses:
            raise CameraFailed(self.refuses)
        async with self._turned:
            await self._turned.wait_for(lambda: self._over or self._sequence(pipeline) > after)
        if self._over:
            raise CameraFailed("the play is over")
        seen = self._newest[pipeline]
        return Snapped(
            jpeg=self.picture, height_px=480, width_px=640, sequence=seen.sequence, captured_at=seen.at
        )

    def _sequence(self, pipeline: str) -> int:
        return self._newest[pipeline].sequence if pipeline in self._newest else -1

    async def end(self) -> None:
        """Whoever waits for a picture waits no longer."""
        async with self._turned:
            self._over = True
            self._turned.notify_all()

    async def accept(self, pipeline: str, version: str) -> None:
        if self.refuses:
            raise Unavailable(self.refuses)
        self.accepted.append((pipeline, version))

    def pause(self, pipeline: str, *, paused: bool) -> None:
        self.paused.append((pipeline, paused))
        told = replace(self.current.pipelines[pipeline].report, paused=paused)
        asyncio.get_running_loop().create_task(self.tell(Told(report=told)))

    async def tell(self, happening: Happening) -> None:
        """As it would happen on a device: whoever comes later is told too."""
        self.current = _after(self.current, happening)
        for queue in self._listeners:
            queue.put_nowait((happening,))
        if isinstance(happening, Seen):
            async with self._turned:
                self._newest[happening.pipeline] = happening
                self._turned.notify_all()


async def _each(queue: "asyncio.Queue[tuple[Happening, ...]]") -> AsyncIterator[tuple[Happening, ...]]:
    while True:
        yield await queue.get()


def _after(now: Now, happening: Happening) -> Now:
    match happening:
        case Seen(pipeline=name):
            return _with(now, name, lambda one: replace(one, frames=(*one.frames[-599:], happening)))
        case Measured(pipeline=name, telemetry=window):
            return _with(now, name, lambda one: replace(one, telemetry=(*one.telemetry[-359:], window)))
        case Told(report=report, offered=offered):
            return _with(now, report.pipeline, lambda one: replace(one, report=report, offered=offered))
        case Happened():
            return replace(now, events=(happening, *now.events[:199]))
        case Turned(broker=broker):
            return replace(now, broker=broker)


def _with(now: Now, name: str, change: Callable[[PipelineNow], PipelineNow]) -> Now:
    return replace(now, pipelines={**now.pipelines, name: change(now.pipelines[name])})


@dataclass(slots=True)
class Stage:
    """The server, in a thread with a loop of its own, and what stands behind it."""

    url: str
    device: Scripted
    loop: asyncio.AbstractEventLoop

    def tell(self, *happenings: Happening) -> None:
        for happening in happenings:
            asyncio.run_coroutine_threadsafe(self.device.tell(happening), self.loop).result(10)


@contextlib.contextmanager
def on_stage(now: Now, users: Users | None = None, proxy: str = "") -> Iterator[Stage]:
    """The page of a device of which `now` is known."""
    started: Future[Stage] = Future()
    ends = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_perform(now, users, proxy, started, ends)))
    thread.start()
    try:
        yield started.result(30)
    finally:
        ends.set()
        thread.join()


async def _perform(
    now: Now, users: Users | None, proxy: str, started: "Future[Stage]", ends: threading.Event
) -> None:
    device, streams, gate = Scripted(now), Streams(), Gate(users, "scripted", tls=False)
    page = DevicePage(device, gate, streams, lambda: b"")

    def turned(to: Up | Down) -> None:
        match to:
            case Up(url):
                started.set_result(Stage(url, device, asyncio.get_running_loop()))
            case Down(reason):
                started.set_exception(RuntimeError(reason))

    server = Server(site(page.routes(), gate), streams, Place("127.0.0.1", 0, proxy), turned=turned)
    serving = asyncio.ensure_future(server.run())
    await asyncio.to_thread(ends.wait)
    await device.end()
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
