"""What outlives a restart of the agent: the folder, the broker, what was signed."""

import random
from pathlib import Path

from agent.adapters.store_files import Disk, FileStore
from agent.core.update.cohort import EVERYBODY
from agent.core.update.lifecycle import Fitted
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
    Manifest,
    OutputContract,
    Plan,
    ProbationPolicy,
    ReleaseRef,
    TrialPolicy,
    Variant,
)
from agent.wire.reports import Event, Prediction, Report, Status
from agent.wire.topics import Channel, DeviceId, Digest, Root, sha256
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker
from tests.fakes.trust import ScriptedTrust

ROOT = Root("shoal/home")
DEVICE = DeviceId("pi")
STREAM = "home"
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
