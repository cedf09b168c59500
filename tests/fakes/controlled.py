"""A workspace with a real repository and ledger, a broker in memory, puppets, and desks that may die."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from msgspec.structs import replace

from agent.wire import topics
from agent.wire.documents import Artifact, Chunk, Manifest, Plan, ReleaseRef
from agent.wire.topics import DeviceId, Digest, Root
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.workspace import ArtifactFolder, Broker, Settings, Workspace, create
from deploy.assemble.controlling import Connections, Desk, Waits
from deploy.assemble.serving import Controller, Pace
from deploy.assemble.session import Session
from deploy.core.rollouts import starting
from deploy.core.rollouts.approvals import Person
from deploy.core.rollouts.words import GatePolicy, Order, Policy
from deploy.flows.devices import Patience
from deploy.flows.fence import Patience as FencePatience
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink
from tests.fakes.operator import manifest
from tests.fakes.puppets import Puppets

ANN = Person("ann", "a better model")
HASTE = Pace(turn_s=0.0, busy_s=0.0, fence_s=0.0, fresh_s=10.0, lag_s=900.0)
SHORT = Waits(fence=FencePatience(settle_s=0.0, first_s=0.01, silence_s=0.1), fleet=Patience(0.0, 0.01, 0.1))
POLICY = Policy(gate=GatePolicy(deadline_s=600.0))


@dataclass(slots=True)
class Controlled:
    """Release 1 is stable, release 2 is to come."""

    folder: Path
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    clock: FakeClock = field(default_factory=FakeClock)
    root: Root = field(default_factory=lambda: topics.root("shoal/test"))
    workspace: Workspace = field(init=False)
    puppets: Puppets = field(init=False)
    releases: list[ReleaseRef] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = Settings(broker=Broker(root=self.root.prefix))
        self.workspace = create(self.folder / "fleet", settings)
        w = self.workspace
        repository = TufRepository.create(w.repository, w.offline_keys, w.online_keys, self.clock)
        self.puppets = Puppets(self.link(), self.root, self.clock.now())
        for version in ("1", "2"):
            self.releases.append(repository.add_release(self._manifest(version)))

    def _manifest(self, version: str) -> Manifest:
        content = f"model {version}".encode()
        digest = ArtifactFolder(self.workspace.artifacts).put(content)
        file = Artifact(digest=digest, length=len(content), chunks=(Chunk(digest, len(content)),))
        plain = manifest(version=version)
        variant = replace(plain.variants[0], artifact=file)
        return replace(plain, variants=(variant,), golden=replace(plain.golden, artifact=file))

    def link(self) -> MemoryLink:
        link = MemoryLink(self.broker)
        link.open(lambda _: None)
        return link

    def repository(self, workspace: Workspace | None = None) -> TufRepository:
        w = workspace or self.workspace
        return TufRepository.open(w.repository, w.offline_keys, w.online_keys, self.clock)

    @contextlib.contextmanager
    def desk(self, workspace: Workspace | None = None) -> Iterator[Desk]:
        connections, link = Connections(), MemoryLink(self.broker)
        link.open(connections.told)
        where = workspace or self.workspace
        desk = Desk(
            where,
            Session(link, self.root),
            self.repository(where),
            connections,
            lambda *_: None,
            self.clock,
            SHORT,
        )
        try:
            yield desk
        finally:
            link.close()

    def start(self, desk: Desk, *waves: str, policy: Policy = POLICY) -> None:
        order = Order(
            rollout="r",
            stream="main",
            release=self.releases[1],
            files=(self.releases[1].manifest,),
            stable=self.releases[0],
            waves=waves,
            salt="salt",
            policy=policy,
        )
        desk.decide(lambda fleet, picture: starting.start(fleet, picture, order, desk.standing("main"), ANN))

    def turn(self, desk: Desk) -> None:
        Controller(desk, Event(), pace=HASTE).turn()

    def plan(self) -> Plan:
        plan = self.repository().plan("main")
        assert plan is not None
        return plan

    def standing_digest(self) -> Digest:
        """What a device would find behind the broker's timestamp, as one value."""
        return topics.sha256(self.broker.retained[self.root.meta("timestamp")])

    def ids(self, count: int) -> list[DeviceId]:
        return [DeviceId(f"pi-{number:03}") for number in range(count)]
