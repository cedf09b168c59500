"""A workspace with a real repository and ledger, a broker in memory, puppets, and desks that may die."""

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from msgspec.structs import replace

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.ports.link import Link
from agent.wire import topics
from agent.wire.documents import Artifact, Chunk, Manifest, Plan, ReleaseRef
from agent.wire.topics import DeviceId, Root
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.workspace import ArtifactFolder, Broker, Settings, Workspace, create
from deploy.assemble.controller.serving import Controller, Pace
from deploy.assemble.desk import controlling
from deploy.assemble.desk.controlling import Desk, Waits
from deploy.assemble.desk.hearing import Connections
from deploy.assemble.desk.session import Session
from deploy.core.rollouts import starting
from deploy.core.rollouts.approvals import Person
from deploy.core.rollouts.words import GatePolicy, Order, Policy
from deploy.flows.devices import Patience
from deploy.flows.fence import Patience as FencePatience
from tests.brokers import Inbox
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink
from tests.fakes.operator import manifest
from tests.fakes.puppets import Puppets

ANN = Person("ann", "a better model")
HASTE = Pace(turn_s=0.0, busy_s=0.0, fence_s=0.0, fresh_s=10.0, lag_s=900.0)
SHORT = Waits(fence=FencePatience(settle_s=0.0, first_s=0.01, silence_s=0.1), fleet=Patience(0.0, 0.01, 0.1))
LOCAL = Waits(fence=FencePatience(settle_s=0.05, first_s=0.2), fleet=Patience(0.05, 0.2, 2.0))
POLICY = Policy(gate=GatePolicy(deadline_s=600.0))


@dataclass(slots=True)
class Controlled:
    """Release 1 is stable, release 2 is to come. A folder that holds one already is gone on with."""

    folder: Path
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    clock: FakeClock | SystemClock = field(default_factory=FakeClock)
    root: Root = field(default_factory=lambda: topics.root("shoal/test"))
    url: str = ""
    """Of a real broker, instead of the one in memory."""
    workspace: Workspace = field(init=False)
    puppets: Puppets = field(init=False)
    releases: list[ReleaseRef] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = Settings(broker=Broker(root=self.root.prefix, url=self.url or Broker().url))
        self.puppets = Puppets(self.link(), self.root, self.clock.now())
        if (self.folder / "fleet").exists():
            self.workspace = Workspace(self.folder / "fleet", settings)
            return
        self.workspace = create(self.folder / "fleet", settings)
        w = self.workspace
        repository = TufRepository.create(w.repository, w.offline_keys, w.online_keys, self.clock)
        for version in ("1", "2"):
            self.releases.append(repository.add_release(self._manifest(version)))

    def _manifest(self, version: str) -> Manifest:
        content = f"model {version}".encode()
        digest = ArtifactFolder(self.workspace.artifacts).put(content)
        file = Artifact(digest=digest, length=len(content), chunks=(Chunk(digest, len(content)),))
        plain = manifest(version=version)
        variant = replace(plain.variants[0], artifact=file)
        return replace(plain, variants=(variant,), golden=replace(plain.golden, artifact=file))

    def link(self) -> Link:
        """Up, and to be closed by whoever asked."""
        if not self.url:
            link = MemoryLink(self.broker)
            link.open(lambda _: None)
            return link
        host, port = self.url.removeprefix("mqtt://").rsplit(":", 1)
        real, states = MqttLink(LinkSettings(host, int(port), f"test-{secrets.token_hex(4)}")), Inbox()
        real.open(states)
        states.wait_for(1)
        return real

    def repository(self, workspace: Workspace | None = None) -> TufRepository:
        w = workspace or self.workspace
        return TufRepository.open(w.repository, w.offline_keys, w.online_keys, self.clock)

    @contextlib.contextmanager
    def desk(self, workspace: Workspace | None = None) -> Iterator[Desk]:
        if self.url:
            with controlling.desk(workspace or self.workspace, waits=LOCAL) as real:
                yield real
            return
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

    def follow(self) -> None:
        """All devices that have left word do what the signed plan wants; over a link that is new where the
        broker is a real one.
        """
        with self.desk() as desk:
            told = {seen.id: seen.report for seen in desk.picture().devices if seen.report is not None}
        self.puppets.told.update(told)
        self.puppets.number = 1 + max(report.number for report in told.values())
        self.puppets.follow(self.plan())

    def ids(self, count: int) -> list[DeviceId]:
        return [DeviceId(f"pi-{number:03}") for number in range(count)]
