"""What a pipeline says is numbered, kept in its order, and said live where it would have to wait."""

import asyncio
from datetime import UTC, datetime

from agent.loops.connection import Connection
from agent.loops.telling.drain import Drain, Lane
from agent.loops.telling.post import Mail, Post
from agent.loops.telling.reporter import Identity, Reporter
from agent.ports.link import Outgoing
from agent.wire import codec, topics
from agent.wire.reports import Capabilities, Event, Prediction, StageLatency
from agent.wire.topics import DeviceId, Qos, Root
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink
from tests.fakes.outbox import MemoryOutbox

ROOT, DEVICE = Root("shoal/home"), DeviceId("pi")
SAID = {channel: ROOT.device(channel, DEVICE) for channel in (topics.EVENT, topics.PREDICTION)}
ROOM = 1_000


class Bench:
    def __init__(self, *, predictions: bool, per_s: float = 10_000.0) -> None:
        self.broker = MemoryBroker()
        self.link = MemoryLink(self.broker)
        self.connection = Connection(self.link)
        self.lanes = {
            channel: Lane(channel.pattern, MemoryOutbox(ROOM), 0.01)
            for channel in ((topics.EVENT, topics.PREDICTION) if predictions else (topics.EVENT,))
        }
        self.drain = Drain(self.link, self.connection, tuple(self.lanes.values()), per_s, notice)
        post = Post(self.link, Mail(self.drain, self.lanes), "session-1")
        self.reporter = Reporter(post, FakeClock(), Identity(ROOT, DEVICE, topics.MAIN, Capabilities()))

    def predict(self, *sequences: int) -> None:
        for sequence in sequences:
            self.reporter.predict(prediction(sequence))

    def heard(self) -> list[Prediction]:
        topic = SAID[topics.PREDICTION]
        return [codec.decode(o.payload, Prediction) for o in self.broker.published if o.topic == topic]

    async def drained(self) -> None:
        async with asyncio.timeout(5.0):
            while self.drain.depth():  # noqa: ASYNC110 - the broker in memory tells nobody
                await asyncio.sleep(0.002)


def notice(lane: str, count: int, total: int) -> Outgoing:
    raise AssertionError((lane, count, total))


def prediction(sequence: int) -> Prediction:
    return Prediction(
        at=datetime(2026, 6, 1, tzinfo=UTC),
        sequence=sequence,
        model="m",
        version="1",
        digest=topics.sha256(b"m"),
        delegate="cpu",
        predictions=(),
        latency_ms=StageLatency(capture=0, pre=0, invoke=0, post=0, age=0),
    )


def test_events_said_without_a_connection_arrive_numbered_and_in_order():
    async def scene() -> None:
        bench = Bench(predictions=False)
        for name in ("first", "second", "third"):
            bench.reporter.event(name, {})
        bench.connection.open()
        async with bench.drain.delivering():
            await bench.drained()
        events = [codec.decode(o.payload, Event) for o in bench.broker.published]
        assert [(e.name, e.session, e.number) for e in events] == [
            ("first", "session-1", 1),
            ("second", "session-1", 2),
            ("third", "session-1", 3),
        ]

    asyncio.run(scene())


def test_predictions_that_are_not_kept_are_lost_with_the_connection_and_have_no_number():
    async def scene() -> None:
        bench = Bench(predictions=False)
        bench.predict(1)
        bench.connection.open()
        async with bench.drain.delivering():
            await bench.connection.wait_up()
            bench.predict(2)
        assert [(p.sequence, p.number, p.session) for p in bench.heard()] == [(2, 0, "")]
        assert {o.qos for o in bench.broker.published} == {Qos.AT_MOST_ONCE}

    asyncio.run(scene())


def test_kept_predictions_arrive_once_where_nothing_waits():
    async def scene() -> None:
        bench = Bench(predictions=True)
        bench.predict(1, 2)
        bench.connection.open()
        async with bench.drain.delivering():
            await bench.drained()
            bench.predict(3)
            await bench.drained()
        assert [(p.sequence, p.number) for p in bench.heard()] == [(1, 1), (2, 2), (3, 3)]
        assert {o.qos for o in bench.broker.published} == {Qos.AT_LEAST_ONCE}

    asyncio.run(scene())


def test_while_a_backlog_drains_a_prediction_is_said_at_once_and_again_in_its_order():
    async def scene() -> None:
        bench = Bench(predictions=True, per_s=400.0)
        bench.predict(*range(100))
        bench.connection.open()
        async with bench.drain.delivering():
            await bench.connection.wait_up()
            bench.predict(100)
            assert [(p.sequence, p.number) for p in bench.heard() if p.number == 0] == [(100, 0)]
            await bench.drained()
        kept = [p.sequence for p in bench.heard() if p.number]
        assert kept == list(range(101))

    asyncio.run(scene())
