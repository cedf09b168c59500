"""A service over a broker in memory: two releases, and what they are seen to do."""

from agent.core.telemetry.emission import Rules
from agent.core.update.lifecycle import Fetching, Fitted, Idle, Probation, Record
from agent.loops.telling.meter import Sources
from agent.loops.telling.post import Post
from agent.loops.telling.reporter import Identity, Reporter
from agent.loops.telling.service import Service
from agent.wire import codec, topics
from agent.wire.documents import Delegate, ProbationPolicy
from agent.wire.ipc import InvokeFailed, Predicted
from agent.wire.reports import (
    Capabilities,
    Ranked,
    StageLatency,
)
from agent.wire.topics import DeviceId, Root, sha256
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink

ROOT, DEVICE = Root("shoal/home"), DeviceId("pi")
POLICY = ProbationPolicy(window_frames=4, latency_ratio_max=2.0, error_share_max=0.25)


def release(name):
    return Fitted(
        name=name,
        version="1",
        manifest=sha256(name.encode()),
        variant=sha256(name.encode() * 2),
        delegate=Delegate.CPU,
        files=(),
    )


A, B = release("a"), release("b")


def record(state):
    return Record(state=state, probation=POLICY)


RUNS_A = record(Idle(active=A))
FETCHES_B = record(Fetching(active=A, fallback=None, candidate=B))
PROBES_B = record(Probation(active=B, fallback=A, need=3))
RUNS_B = record(Idle(active=B, fallback=A))


class Bench:
    rules = Rules()

    def __init__(self, sources=None):
        self.clock = FakeClock()
        self.broker = MemoryBroker()
        link = MemoryLink(self.broker)
        link.open(lambda _: None)
        reporter = Reporter(Post(link), self.clock, Identity(ROOT, DEVICE, topics.MAIN, Capabilities()))
        sources = sources or Sources(rss=lambda: {"supervisor": 7, "worker": 9})
        self.service = Service(reporter, self.clock, sources, 10.0, self.rules)
        self.fed = []
        self.service.bind(self.fed.append)
        self.sequence = 0

    def said(self, channel, kind):
        topic = ROOT.device(channel, DEVICE)
        return [codec.decode(o.payload, kind) for o in self.broker.published if o.topic == topic]

    def predict(self, of, *invoke_ms, constant=False, frames=None, dropped=0):
        for one in invoke_ms:
            self.sequence += 1
            label = "cat" if constant or self.sequence % 2 else "dog"
            self.service.observe(self.predicted(of, one, label, frames or self.sequence, dropped))

    def predicted(self, of, invoke_ms, label, frames, dropped):
        return Predicted(
            manifest=of.manifest,
            sequence=self.sequence,
            frame="",
            captured_at=self.clock.now(),
            predictions=(Ranked(index=("cat", "dog").index(label), label=label, score=0.9),),
            latency_ms=StageLatency(capture=1.0, pre=2.0, invoke=invoke_ms, post=3.0, age=invoke_ms + 6.0),
            frames=frames,
            frames_dropped=dropped,
        )

    def fail(self, of, times):
        for _ in range(times):
            self.service.observe(InvokeFailed(manifest=of.manifest, sequence=0, detail="no"))
