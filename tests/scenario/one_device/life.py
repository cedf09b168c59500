"""One run of the agent in this process: the real `Update`, `Service` and `Reporter`; all else is scripted."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from agent.adapters.acceptance_files import AcceptanceFiles
from agent.adapters.packing_zstd import Zstandard
from agent.adapters.veto_file import VetoFile
from agent.core.update.admission import Device
from agent.core.update.lifecycle import Fitted, Idle, Record
from agent.loops.connection import Connection
from agent.loops.release.consult import Host
from agent.loops.release.tuner import Tuner
from agent.loops.release.update import Engine, Update
from agent.loops.telling.meter import Sources
from agent.loops.telling.news import WorkerNews
from agent.loops.telling.post import Post
from agent.loops.telling.presence import Presence, will
from agent.loops.telling.reporter import Identity, Reporter
from agent.loops.telling.service import Service
from agent.ports.link import LinkState, Up
from agent.ports.store import Store
from agent.wire import topics
from agent.wire.documents import (
    MaintenanceWindow,
)
from agent.wire.ipc import (
    Findings,
    ModelSpec,
    ProveFailed,
    ServeFailed,
    Serving,
    Shadowed,
)
from agent.wire.reports import Capabilities
from agent.wire.topics import Digest
from tests.fakes.accelerator import ScriptedAccelerator
from tests.fakes.children import ScriptedCanary
from tests.fakes.link import MemoryLink
from tests.fakes.tunings import MemoryTunings
from tests.scenario.one_device.home import DEVICE, ROOT, STREAM, Home
from tests.scenario.one_device.worker import CAT, FOUND, Worker, intact

DEADLINE_S = 10.0
CAPABILITIES = Capabilities(hardware="cpu", agent="0.1.0")


def host(*, edgetpu: bool) -> Host:
    device = Device(id=DEVICE, hardware="cpu", agent="0.1.0")
    return Host(device, edgetpu=edgetpu, runtime_version="scripted 1.0")


class Life:
    def __init__(
        self,
        home: Home,
        *,
        store: Store | None = None,
        link: MemoryLink | None = None,
        answer: Callable[[ModelSpec], Serving | ServeFailed] = intact,
        recheck_s: float = 3600.0,
        windows: tuple[MaintenanceWindow, ...] = (),
        edgetpu: bool = False,
        asks: bool = False,
        program: str = "",
    ) -> None:
        self.home = home
        self.tpus = ScriptedAccelerator(there=edgetpu)
        self.store = store or home.store()
        self.link = link or MemoryLink(home.broker, will=will(ROOT, DEVICE, "session"))
        self.worker = Worker(answer)
        self.proved: Findings | ProveFailed = FOUND
        self.proved_otherwise: dict[Digest, Findings | ProveFailed] = {}
        """Of models with these digests."""
        self.canaries: list[ScriptedCanary] = []
        self.spawning = asyncio.Event()
        """Cleared: a canary does not come up."""
        self.spawning.set()
        self.connection = Connection(self.link)
        self.reporter = Reporter(
            Post(self.link), home.clock, Identity(ROOT, DEVICE, topics.MAIN, CAPABILITIES)
        )
        self.presence = Presence(Post(self.link), ROOT, DEVICE, "session", home.clock.now, 60.0)
        self.service = Service(self.reporter, home.clock, Sources(rss=lambda: {"supervisor": 1}), 10.0)
        self.update = Update(
            link=self.link,
            connection=self.connection,
            topics=ROOT,
            store=self.store,
            packing=Zstandard(),
            trust=home.trust,
            consulting=asyncio.Lock(),
            clock=home.clock,
            worker=self.worker,
            spawn_canary=self.spawn,
            accelerator=self.tpus,
            tuner=Tuner(MemoryTunings(), runtime="scripted 1.0", host="here", cores=1),
            service=self.service,
            reporter=self.reporter,
            host=host(edgetpu=edgetpu),
            engine=Engine("auto", 1, program=program),
            stream=STREAM,
            recheck_s=recheck_s,
            veto=VetoFile(home.folder / "veto"),
            windows=windows,
            word=AcceptanceFiles(home.folder) if asks else None,
        )
        self.service.bind(self.update.feed)
        self.worker.observe(self.service.observe)
        WorkerNews(self.worker, self.reporter, self.service)
        self.connection.watch(self._turn)
        self.running: asyncio.Task[None] | None = None

    async def spawn(self) -> ScriptedCanary:
        await self.spawning.wait()
        shadowed = [Shadowed(sequence=1, predictions=CAT, invoke_ms=5.0, finite=True)] * 50
        self.canaries.append(ScriptedCanary(self.proved, shadowed, otherwise=self.proved_otherwise))
        return self.canaries[-1]

    def start(self) -> None:
        self.connection.open()
        self.running = asyncio.create_task(self.update.run())

    async def stop(self, *, clean: bool = True) -> None:
        assert self.running is not None
        self.running.cancel()
        await asyncio.wait([self.running])
        if not self.running.cancelled():
            self.running.result()
        await self.connection.close()
        if clean:
            self.store.mark_stopped()

    async def stop_dead(self) -> None:
        """As if the power had gone: nobody notes that it went down by its own will."""
        assert self.running is not None
        self.running.cancel()
        await asyncio.wait([self.running])
        if not self.running.cancelled():
            self.running.exception()
        await self.connection.close()

    async def until(self, condition: Callable[[], object], *, frames: bool = False, **seen) -> None:
        """Wait for it, with the camera running if wanted; the loop must not end meanwhile."""
        assert self.running is not None
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                if self.running.done():
                    self.running.result()
                if frames:
                    self.worker.frame(self.home.clock, **seen)
                await asyncio.sleep(0.0005)

    async def commits(self, version: str) -> None:
        wanted = self.home.fitted(version)
        await self.until(lambda: self._has_committed(wanted), frames=True)
        await self.quiet()

    async def quiet(self) -> None:
        """Until the loop waits for something new."""
        await self.until(lambda: self.update._queue._getters)

    async def looks_again(self) -> None:
        """Something was published, and the device has dealt with it."""
        self.update.poke()
        await self.quiet()

    @property
    def record(self) -> Record:
        return self.update._record

    @property
    def runs(self) -> str | None:
        return self.worker.served[-1].version if self.worker.served else None

    def _has_committed(self, wanted: Fitted) -> bool:
        return isinstance(self.record.state, Idle) and self.record.state.active == wanted

    def _turn(self, state: LinkState) -> None:
        if isinstance(state, Up):
            self.presence.connected()
            self.reporter.connected()
            self.update.poke()


@asynccontextmanager
async def living(home: Home, *, clean: bool = True, **parts) -> AsyncIterator[Life]:
    life = Life(home, **parts)
    life.start()
    try:
        yield life
    finally:
        await life.stop(clean=clean)


def run(work: Coroutine[object, object, None], deadline_s: float = DEADLINE_S * 2) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(deadline_s):
            await work

    asyncio.run(bounded())
