"""An operator with a real repository and a broker in memory, devices that trust it, and a thief."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from agent.adapters.trust_tuf import TufTrust
from agent.wire import topics
from agent.wire.documents import (
    Artifact,
    Chunk,
    Delegate,
    Dtype,
    Golden,
    InputContract,
    Manifest,
    OutputContract,
    Plan,
    ReleaseRef,
    Variant,
)
from agent.wire.topics import Digest
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.repository_tuf.keys import KeyFolders, Role
from deploy.adapters.repository_tuf.shelf import Shelf
from deploy.adapters.repository_tuf.state import Pen, State, load
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink

TIMEOUT_S = 0.05
DAY_S = 86_400.0
_FILE = Artifact(digest=Digest("ab" * 32), length=1, chunks=(Chunk(Digest("ab" * 32), 1),))


def manifest(name: str = "cats", version: str = "1", description: str = "") -> Manifest:
    return Manifest(
        name=name,
        version=version,
        variants=(Variant(artifact=_FILE, file="cats.tflite", delegate=Delegate.CPU),),
        input=InputContract(height_px=224, width_px=224, channels=3, dtype=Dtype.UINT8),
        output=OutputContract(classes=2, dtype=Dtype.UINT8),
        labels=None,
        golden=Golden(artifact=_FILE, tolerance=0.1),
        description=description,
    )


class Operator:
    """The repository `home` with release cats 1 and plan 1, published."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.clock = clock
        self.folder = folder
        self.offline = folder / "offline"
        self.online = folder / "online"
        self.repository = TufRepository.create(folder / "repository", self.offline, self.online, clock)
        self.pinned = self.repository.root()
        self.root = topics.root("shoal/home")
        self.broker = MemoryBroker()
        self.release()
        self.order(1)
        self.publish()

    def release(self, version: str = "1") -> ReleaseRef:
        return self.repository.add_release(manifest(version=version))

    def order(self, serial: int, version: str = "1") -> None:
        (ref,) = (r for r in self.repository.releases() if r.version == version)
        self.repository.set_plan(Plan(stream="home", serial=serial, stable=ref))

    def steps(self) -> list[tuple[str, bytes]]:
        """Topics and contents in the order of publication."""
        publication = self.repository.publication()
        return [
            *((self.root.target(target.digest), target.content) for target in publication.targets),
            *((self.root.meta(metadata.name), metadata.content) for metadata in publication.metadata),
            (self.root.meta("timestamp"), publication.timestamp),
            (self.root.index(), publication.index),
        ]

    def publish(self) -> None:
        for topic, content in self.steps():
            self.put(topic, content)

    def put(self, topic: str, content: bytes) -> None:
        self.broker.publish(topic, content, retain=True)

    def link(self) -> MemoryLink:
        link = MemoryLink(self.broker)
        link.open(lambda _: None)
        return link

    def device(self, folder: Path, clock: FakeClock | None = None, timeout_s: float = TIMEOUT_S) -> TufTrust:
        """A device that has just started, with what is in its folder."""
        return TufTrust(self.link(), self.root, folder, self.pinned, clock or self.clock, timeout_s)

    def thief(self, change: Callable[[State], set[Role]], now: datetime | None = None) -> None:
        """Publish what the online keys alone can sign; `change` says which roles it touched."""
        state = load(Shelf(self.folder / "repository"))
        pen = Pen(KeyFolders(self.folder / "nowhere", self.online), {}, now or self.clock.now())
        for name, content in pen.sign(state, change(state)).items():
            topic = "timestamp" if name.endswith(".timestamp") else name
            self.put(self.root.meta(topic), content)
