"""A device in one process: the real `Update`, `Service`, `Reporter` and files; all else is scripted.

`Home` is what outlives a restart: the folder, the broker, what was signed. `Life` is one run of the agent.
"""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

from agent.adapters.acceptance_files import AcceptanceFiles
from agent.adapters.packing_zstd import Zstandard
from agent.adapters.store_files import Disk, FileStore
from agent.adapters.veto_file import VetoFile
from agent.core.update.admission import Device
from agent.core.update.cohort import EVERYBODY
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
from agent.ports.trust import Trust
from agent.wire import codec, topics
from agent.wire.documents import (
    Artifact,
    Chunk,
    Delegate,
    Document,
    Dtype,
    Golden,
    InputContract,
    MaintenanceWindow,
    Manifest,
    OutputContract,
    Plan,
    ProbationPolicy,
    ReleaseRef,
    TrialPolicy,
    Variant,
)
from agent.wire.ipc import (
    Findings,
    GoldenFinding,
    ModelSpec,
    Predicted,
    ProveFailed,
    Sampled,
    ServeFailed,
    Serving,
    Shadowed,
)
from agent.wire.reasons import Reason
from agent.wire.reports import Capabilities, Event, Prediction, Ranked, Report, StageLatency, Status
from agent.wire.topics import Channel, DeviceId, Digest, Root, sha256
from tests.fakes.accelerator import ScriptedAccelerator
from tests.fakes.children import ScriptedCanary, ScriptedWorker
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink
from tests.fakes.trust import ScriptedTrust
from tests.fakes.tunings import MemoryTunings

ROOT = Root("shoal/home")
DEVICE = DeviceId("pi")
STREAM = "home"
DEADLINE_S = 10.0
CAPABILITIES = Capabilities(hardware="cpu", agent="0.1.0")
TRIAL = TrialPolicy(shadow_frames=2)
PROBATION = ProbationPolicy(healthy_windows=2, window_frames=3)
LABELS = b"cat\ndog\n"
GOLDEN = b"golden"
CHUNKS = 20


class SwiftDisk(Disk):
    """Skips what only a power cut could show, and tests of the store do."""

    def sync(self, path: Path) -> None:
        pass


def pieces(version: str, count: int = CHUNKS) -> tuple[bytes, ...]:
    rng = random.Random(version)
    return tuple(rng.randbytes(100 + rng.randrange(100)) for _ in range(count))


def artifact(*parts: bytes) -> Artifact:
    content = b"".join(parts)
    return Artifact(
        digest=sha256(content),
        length=len(content),
        chunks=tuple(Chunk(sha256(part), len(part)) for part in parts),
    )


def manifest(version: str, parts: tuple[bytes, ...] | None = None, **changes) -> Manifest:
    described = {
        "name": "cats",
        "version": version,
        "variants": (
            Variant(artifact=artifact(*(parts or pieces(version))), file="a.tflite", delegate=Delegate.CPU),
        ),
        "input": InputContract(height_px=4, width_px=4, channels=3, dtype=Dtype.UINT8),
        "output": OutputContract(classes=2, dtype=Dtype.UINT8),
        "labels": artifact(LABELS),
        "golden": Golden(artifact=artifact(GOLDEN), tolerance=0.1),
    }
    return Manifest(**described | changes)


def fitted(of: Manifest) -> Fitted:
    named = sha256(codec.encode(of))
    variant = of.variants[0].artifact.digest
    assert of.labels is not None
    return Fitted(
        name=of.name,
        version=of.version,
        manifest=named,
        variant=variant,
        delegate=Delegate.CPU,
        files=(named, variant, of.golden.artifact.digest, of.labels.digest),
    )


class Home:
    def __init__(self, folder: Path, broker: MemoryBroker | None = None, trust: Trust | None = None) -> None:
        self.folder = folder
        self.broker = broker or MemoryBroker()
        self.scripted = ScriptedTrust()
        self.trust: Trust = trust or self.scripted
        self.clock = FakeClock()
        self.manifests: dict[str, Manifest] = {}

    def publish(self, version: str, parts: tuple[bytes, ...] | None = None, **changes) -> ReleaseRef:
        """Sign a release and lay its chunks onto the broker."""
        made = self.manifests[version] = manifest(version, parts, **changes)
        for part in (*(parts or pieces(version)), LABELS, GOLDEN):
            self.broker.publish(ROOT.chunk(sha256(part)), part, retain=True)
        return self.scripted.release(made)

    def publish_pair(self, version: str) -> tuple[Digest, Digest]:
        """A release for the CPU and the Edge TPU; the digests of the two files."""
        compiled = pieces(f"{version} compiled", 3)
        for part in compiled:
            self.broker.publish(ROOT.chunk(sha256(part)), part, retain=True)
        cpu = Variant(artifact=artifact(*pieces(version)), file="a.tflite", delegate=Delegate.CPU)
        tpu = Variant(artifact=artifact(*compiled), file="a_edgetpu.tflite", delegate=Delegate.EDGETPU)
        self.publish(version, variants=(cpu, tpu))
        return Digest(cpu.artifact.digest), Digest(tpu.artifact.digest)

    def order(self, serial: int, stable: str | None = None, candidate: str | None = None, **changes) -> Plan:
        """Sign a plan of releases that were published."""
        described = {
            "stream": STREAM,
            "serial": serial,
            "stable": None if stable is None else self.ref(stable),
            "candidate": None if candidate is None else self.ref(candidate),
            "cut": {"*": EVERYBODY},
            "trial": TRIAL,
            "probation": PROBATION,
        }
        plan = self.scripted.signed = Plan(**described | changes)
        return plan

    def ref(self, version: str) -> ReleaseRef:
        return self.scripted.release(self.manifests[version])

    def fitted(self, version: str) -> Fitted:
        return fitted(self.manifests[version])

    def store(self, disk: Disk | None = None) -> FileStore:
        return FileStore(self.folder, 0, disk or SwiftDisk())

    @property
    def chunks_delivered(self) -> int:
        """Of models: labels and golden sets are shared by all releases."""
        shared = {ROOT.chunk(sha256(LABELS)), ROOT.chunk(sha256(GOLDEN))}
        return sum(
            count
            for topic, count in self.broker.delivered.items()
            if ROOT.parse(topic).channel is topics.CHUNK and topic not in shared
        )

    def said(self, channel: Channel, kind: type[Document]) -> list:
        """What the device published there, in order."""
        topic = ROOT.device(channel, DEVICE)
        return [codec.decode(o.payload, kind) for o in self.broker.published if o.topic == topic]

    @property
    def reports(self) -> list[Report]:
        return self.said(topics.REPORT, Report)

    @property
    def report(self) -> Report:
        return codec.decode(self.broker.retained[ROOT.device(topics.REPORT, DEVICE)], Report)

    @property
    def events(self) -> list[Event]:
        return self.said(topics.EVENT, Event)

    @property
    def statuses(self) -> list[Status]:
        return self.said(topics.STATUS, Status)

    @property
    def predictions(self) -> list[Prediction]:
        return self.said(topics.PREDICTION, Prediction)

    @property
    def phases(self) -> list[str]:
        """The phases of the reports, each once in a row."""
        told = [report.phase.value for report in self.reports]
        return [phase for before, phase in zip(["", *told], told, strict=False) if phase != before]

    def ended(self) -> list[tuple[str, str, str]]:
        """Version, outcome and reason of every update that ended."""
        found = [event.fields for event in self.events if event.name == "update.ended"]
        return [(str(f["version"]), str(f["outcome"]), str(f["reason"])) for f in found]


def serving(model: ModelSpec) -> Serving:
    return Serving(
        manifest=model.manifest,
        digest=model.digest,
        delegate="xnnpack",
        delegate_reason="it was told so",
        runtime="scripted 1.0",
        load_ms=12.0,
        gap_ms=0.5,
    )


def refusing(*digests: Digest) -> Callable[[ModelSpec], Serving | ServeFailed]:
    """A worker that cannot serve these variants."""

    def answer(model: ModelSpec) -> Serving | ServeFailed:
        if model.digest in digests:
            return ServeFailed(
                manifest=model.manifest, digest=model.digest, reason=Reason.LOAD_FAILED, detail="no"
            )
        return serving(model)

    return answer


def intact(model: ModelSpec) -> Serving:
    """Demands that the file that is served is the one that was signed."""
    content = Path(model.model_path).read_bytes()
    assert hashlib.sha256(content).hexdigest() == model.digest
    return serving(model)


FOUND = Findings(
    manifest=Digest("0" * 64),
    delegate="xnnpack",
    delegate_reason="",
    runtime="scripted 1.0",
    classes=2,
    labels=2,
    contract_fault=None,
    golden=(GoldenFinding(expected=((0, 0.9),), found_top=0, found=(0.9,), finite=True),),
    load_ms=10.0,
    invoke_ms=(5.0, 5.0),
)
CAT = (Ranked(index=0, label="cat", score=0.9),)
DOG = (Ranked(index=1, label="dog", score=0.9),)


class Worker(ScriptedWorker):
    """Its camera shows a cat and a dog in turn."""

    def __init__(self, answer: Callable[[ModelSpec], Serving | ServeFailed]) -> None:
        super().__init__(answer)
        self.sequence = 0

    async def sample(self, timeout_s: float) -> Sampled | None:
        if not self.served:
            return await super().sample(timeout_s)
        await asyncio.sleep(0)
        return Sampled(
            sequence=1,
            height_px=1,
            width_px=1,
            rgb=b"rgb",
            manifest=self.served[-1].manifest,
            predictions=CAT,
            invoke_ms=5.0,
        )

    def frame(
        self,
        clock: FakeClock,
        *,
        invoke_ms: float = 5.0,
        answer: tuple[Ranked, ...] | None = None,
        manifest: Digest | None = None,
    ) -> None:
        """The camera gives a frame, and what is served answers it."""
        self.sequence += 1
        if not self.served:
            return
        latency = StageLatency(capture=1.0, pre=1.0, invoke=invoke_ms, post=1.0, age=invoke_ms + 3.0)
        self.see(
            Predicted(
                manifest=manifest or self.served[-1].manifest,
                sequence=self.sequence,
                frame="",
                captured_at=clock.now(),
                predictions=answer or (CAT, DOG)[self.sequence % 2],
                latency_ms=latency,
                frames=self.sequence,
                frames_dropped=0,
            )
        )


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
