"""A first look: one camera, one model and the page over them. No broker, no fleet, and nothing is kept."""

import asyncio
import platform
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_none import NoLink
from agent.adapters.machine import cpu
from agent.adapters.machine.sensors import LinuxHost, rss_bytes
from agent.assemble import edgetpu
from agent.assemble.commands import PipelineHands
from agent.assemble.page import Page
from agent.assemble.rules import hot_rule
from agent.assemble.sharing import patience, start_worker
from agent.config import PipelineSettings, Settings, pipelines
from agent.core.inference import contract
from agent.core.page.words import Offered, Past
from agent.core.serving.failover import Offer
from agent.core.telemetry.vitals import Watch
from agent.core.tflite import flatmodel
from agent.core.update.lifecycle import Fitted, Idle, Record
from agent.loops.keeping.failover import Failover
from agent.loops.keeping.keeper import WorkerKeeper
from agent.loops.telling import meter
from agent.loops.telling.monitor import Monitor, Sources
from agent.loops.telling.news import WorkerNews
from agent.loops.telling.onlookers import About
from agent.loops.telling.pacer import Pacer
from agent.loops.telling.post import Post
from agent.loops.telling.reporter import Identity, Reporter
from agent.loops.telling.service import Service
from agent.ports.children import Observation, Worker
from agent.ports.onlooker import Onlooker
from agent.wire import topics
from agent.wire.commands import Looked
from agent.wire.documents import Delegate
from agent.wire.errors import Malformed, ModelUnloadable, Unavailable
from agent.wire.ipc import CameraTurned, EdgeTpu, ModelSpec, Predicted, ServeFailed
from agent.wire.reports import Capabilities, Report
from agent.wire.topics import MAIN, Digest

if TYPE_CHECKING:
    from agent.adapters.web.server import Down, Up

THREADS_MAX: Final = 4
_MAY: Final = ("pause", "resume")
ROOT: Final = topics.root("shoal/demo")


@dataclass(frozen=True, slots=True)
class Told:
    """Whom a person at the terminal hears of it from."""

    page: "Callable[[Up | Down], None]"
    seen: Callable[[Predicted], None]
    camera: Callable[[CameraTurned], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    settings: Settings
    """Of a device, as far as they matter without a broker."""
    model: Path
    labels: Path | None
    frames: int | None
    """Then it ends; None: it goes on until it is told to."""


def run(wanted: Wanted, told: Told) -> None:
    """Until Ctrl-C, SIGTERM or the last of the frames.

    Raises:
        Malformed: the model is no classifier, or cannot be read.
        ModelUnloadable: nothing here computes it.
    """
    content = _read(wanted.model)
    asyncio.run(_Demo(wanted, told, content).run())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Malformed(f"{path}: {error.strerror}") from error


def _spec(wanted: Wanted, content: bytes) -> ModelSpec:
    try:
        facts = flatmodel.examine(content)
        takes, gives = contract.infer(facts)
    except Malformed as error:
        raise Malformed(f"{wanted.model}: {error}") from error
    digest = Digest(sha256(content).hexdigest())
    return ModelSpec(
        name=wanted.model.stem,
        version=digest[:8],
        manifest=digest,
        digest=digest,
        model_path=str(wanted.model.resolve()),
        labels_path=None if wanted.labels is None else str(wanted.labels.resolve()),
        input=takes,
        output=gives,
        threads=min(THREADS_MAX, cpu.cores()),
        edgetpu=EdgeTpu() if facts.edgetpu else None,
    )


class _Demo:
    """Implements `agent.loops.telling.onlookers.Line`, too: it is the one pipeline there is."""

    name = MAIN
    past: tuple[Past, ...] = ()
    offered: Offered | None = None

    def __init__(self, wanted: Wanted, told: Told, content: bytes) -> None:
        settings, clock = wanted.settings, SystemClock()
        (line,) = pipelines(settings)
        device = topics.device_id(settings.device.id)
        self._spec, self._frames = _spec(wanted, content), wanted.frames
        self._reporter = Reporter(Post(NoLink()), clock, Identity(ROOT, device, MAIN, _capabilities()))
        self._failover = _kept(line)
        self.worker: Worker = self._failover
        self._pacer = Pacer(self.worker)
        self._hands = PipelineHands(self.worker, self._pacer, self._reporter, self._look)
        self._monitor = Monitor(
            LinuxHost(Path(settings.device.state_dir)),
            clock,
            Watch(hot_rule(settings.thermal)),
            Sources(),
            settings.telemetry.window_s,
        )
        self._service = self._serving(settings, clock)
        self._news = WorkerNews(self.worker, self._reporter, self._service)
        about = About(device, _capabilities().agent, lambda: settings.telemetry.window_s, None, _MAY)
        self._page = Page(settings.web, about, (self,), clock, turned=told.page)
        self._told, self._stopped = told, asyncio.Event()
        self._failure: ServeFailed | None = None

    def _serving(self, settings: Settings, clock: SystemClock) -> Service:
        telemetry, lately = self._monitor.window(), self._monitor.window()
        sources = meter.Sources(
            rss=lambda: rss_bytes(self.worker.pid),
            close_vitals=telemetry.close,
            limit=lambda: self._pacer.limit,
            throttled_lately=lately.ask_throttled,
        )
        return Service(self._reporter, clock, sources, settings.telemetry.window_s)

    async def run(self) -> None:
        """
        Raises:
            ModelUnloadable: nothing here computes the model.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopped.set)
        self._bind()
        async with asyncio.TaskGroup() as group:
            works = (self._failover.run(), self._service.run(), self._monitor.run(), self._page.run())
            tasks = [group.create_task(work) for work in (*works, self._serve())]
            await self._stopped.wait()
            for task in tasks:
                task.cancel()
        if self._failure is not None:
            raise ModelUnloadable(f"{self._spec.model_path}: {self._failure.detail}")

    def _bind(self) -> None:
        spec = self._spec
        fitted = Fitted(
            name=spec.name,
            version=spec.version,
            manifest=spec.manifest,
            variant=spec.digest,
            delegate=Delegate.EDGETPU if spec.edgetpu else Delegate.CPU,
            files=(spec.digest,),
        )
        record = Record(state=Idle(active=fitted))
        self._reporter.follow(record)
        self._service.follow(record)
        self._monitor.bind(self._reporter.event)
        self._monitor.listen(self._service.look)
        self.worker.observe(self._service.observe)
        self.worker.observe(self._count)

    async def _serve(self) -> None:
        answer = await self.worker.serve(Offer(self._spec))
        if isinstance(answer, ServeFailed):
            self._failure = answer
            self._stopped.set()
        else:
            self._reporter.serving(answer)

    def _count(self, observed: Observation) -> None:
        if isinstance(observed, CameraTurned):
            self._told.camera(observed)
        if not isinstance(observed, Predicted):
            return
        self._told.seen(observed)
        if self._frames is not None and self._service.predictions >= self._frames:
            self._stopped.set()

    async def _look(self) -> Looked:
        return self._reporter.looked()

    @property
    def report(self) -> Report:
        return self._reporter.report

    def watch(self, onlooker: Onlooker) -> Callable[[], None]:
        return self._reporter.watch(onlooker)

    def accept(self, version: str) -> None:
        raise Unavailable(f"no release is offered here, and none of version {version[:64]}")

    def pause(self, *, paused: bool) -> None:
        self._hands.pause(paused=paused)


def _kept(line: PipelineSettings) -> Failover:
    jitter = random.Random()  # noqa: S311 - not for secrets
    return Failover(
        WorkerKeeper(start_worker(line, {}), jitter, patience=patience(line, {})), edgetpu.accelerator()
    )


def _capabilities() -> Capabilities:
    return Capabilities(
        machine=platform.machine(), python=platform.python_version(), agent=metadata.version("shoal")
    )
