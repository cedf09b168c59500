"""In order, acknowledged before forgotten, at a bounded rate, and never in the way of what is said now."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

import pytest

from agent.loops.connection import Connection
from agent.loops.telling import drain as draining
from agent.loops.telling.drain import WINDOW, Drain, Lane
from agent.loops.telling.post import Mail, Post
from agent.ports.link import Outgoing
from agent.wire import topics
from agent.wire.topics import Qos
from tests.fakes.link import MemoryBroker, MemoryLink
from tests.fakes.outbox import MemoryOutbox

EVENT, PREDICTION = "d/event", "d/prediction"
WITHIN_S = 5.0


class Bench:
    def __init__(self, *, room: int = 1_000_000, per_s: float = 10_000.0) -> None:
        self.broker = MemoryBroker()
        self.link = MemoryLink(self.broker)
        self.connection = Connection(self.link)
        self.boxes = MemoryOutbox(room), MemoryOutbox(room)
        self.lanes = Lane("events", self.boxes[0], 0.01), Lane("predictions", self.boxes[1], 0.01)
        self.drain = Drain(self.link, self.connection, self.lanes, per_s, notice)
        kept = dict(zip((topics.EVENT, topics.PREDICTION), self.lanes, strict=True))
        self.post = Post(self.link, Mail(self.drain, kept), "session")

    def say(self, *numbers: int, on: str = EVENT) -> None:
        channel = topics.EVENT if on == EVENT else topics.PREDICTION
        for number in numbers:
            self.post.keep(channel, Outgoing(on, b"%d" % number, channel.qos, channel.retain))

    def heard(self, on: str = EVENT) -> list[int]:
        return [int(o.payload) for o in self.broker.published if o.topic == on]

    def notices(self) -> list[list[object]]:
        return [json.loads(o.payload) for o in self.broker.published if o.topic == "notice"]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.connection.open()
        async with self.drain.delivering():
            yield
        await self.connection.close()
        self.drain.close()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not holds():  # noqa: ASYNC110 - the broker in memory tells nobody
                await asyncio.sleep(0.002)


def notice(lane: str, count: int, total: int) -> Outgoing:
    return Outgoing("notice", json.dumps([lane, count, total]).encode(), Qos.AT_LEAST_ONCE, retain=False)


def run(scene: Callable[[], AsyncIterator[None]]) -> None:
    asyncio.run(scene())


def test_what_is_said_while_connected_goes_in_order_and_is_forgotten():
    async def scene() -> None:
        bench = Bench()
        async with bench.running():
            bench.say(*range(100))
            await bench.until(lambda: bench.drain.depth() == 0)
        assert bench.heard() == list(range(100))
        assert all(o.qos is Qos.AT_LEAST_ONCE and not o.retain for o in bench.broker.published)
        assert all(box.closed for box in bench.boxes)

    run(scene)


def test_no_more_than_the_window_flies_before_the_first_acknowledgement():
    async def scene() -> None:
        bench = Bench()
        bench.link.acknowledges = False
        async with bench.running():
            bench.say(*range(100))
            await bench.until(lambda: len(bench.heard()) == WINDOW)
            await asyncio.sleep(0.02)
            assert (bench.heard(), bench.drain.depth()) == (list(range(WINDOW)), 100)

    run(scene)


def test_after_a_cut_it_goes_on_at_the_first_that_was_not_acknowledged():
    async def scene() -> None:
        bench = Bench()
        async with bench.running():
            bench.say(0, 1, 2)
            await bench.until(lambda: bench.drain.depth() == 0)
            bench.link.acknowledges = False
            bench.say(3, 4)
            await bench.until(lambda: bench.heard()[-1] == 4)
            bench.link.drop()
            bench.say(5)
            await bench.until(lambda: not bench.connection.is_up)
            bench.link.acknowledges = True
            bench.link.restore()
            await bench.until(lambda: bench.drain.depth() == 0)
        assert bench.heard() == [0, 1, 2, 3, 4, 3, 4, 5]

    run(scene)


def test_a_backlog_drains_at_the_rate_and_what_is_said_then_adds_to_it():
    async def scene() -> None:
        bench = Bench(per_s=200.0)
        bench.say(*range(1_000))
        async with bench.running():
            await bench.until(lambda: len(bench.heard()) >= 1)
            began = asyncio.get_running_loop().time()
            first = len(bench.heard())
            bench.say(*range(1_000, 1_050))
            await bench.until(lambda: len(bench.heard()) >= 50 + first + 20)
            span_s = asyncio.get_running_loop().time() - began
        assert span_s >= 20 / 200.0 * 0.8
        assert bench.heard() == list(range(len(bench.heard())))

    run(scene)


def test_the_rate_can_be_changed_while_a_backlog_drains():
    async def scene() -> None:
        bench = Bench(per_s=0.01)
        bench.say(*range(100))
        async with bench.running():
            await bench.until(lambda: bench.connection.is_up)
            bench.drain.configure(10_000.0)
            await bench.until(lambda: bench.drain.depth() == 0)
        assert bench.heard() == list(range(100))

    run(scene)


def test_what_is_said_live_overtakes_a_backlog():
    async def scene() -> None:
        bench = Bench(per_s=20.0)
        bench.say(*range(1_000))
        async with bench.running():
            await bench.until(lambda: bool(bench.heard()))
            bench.post.send(Outgoing("live", b"", Qos.AT_MOST_ONCE, retain=False))
            assert bench.broker.published[-1].topic == "live"
            assert bench.post.behind(topics.EVENT)
            assert not bench.post.behind(topics.PREDICTION)

    run(scene)


def test_events_go_before_predictions_and_each_keeps_its_order():
    async def scene() -> None:
        bench = Bench()
        bench.say(*range(50), on=PREDICTION)
        bench.say(*range(50))
        async with bench.running():
            await bench.until(lambda: bench.drain.depth() == 0)
        assert [o.topic for o in bench.broker.published] == [EVENT] * 50 + [PREDICTION] * 50
        assert (bench.heard(), bench.heard(PREDICTION)) == (list(range(50)), list(range(50)))

    run(scene)


def test_what_was_dropped_is_told_before_what_is_left():
    async def scene() -> None:
        bench = Bench(room=10)
        bench.say(*range(25))
        async with bench.running():
            await bench.until(lambda: bench.drain.depth() == 0)
            assert (bench.drain.dropped(), bench.notices()) == (15, [["events", 15, 15]])
            assert bench.broker.published[0].topic == "notice"
            bench.link.drop()
            await bench.until(lambda: not bench.connection.is_up)
            bench.say(*range(25, 40))
            bench.link.restore()
            await bench.until(lambda: bench.drain.depth() == 0)
        assert bench.notices() == [["events", 15, 15], ["events", 5, 20]]
        assert bench.heard() == [*range(15, 25), *range(30, 40)]

    run(scene)


def test_a_notice_that_was_not_acknowledged_is_told_again():
    async def scene() -> None:
        bench = Bench(room=10)
        bench.say(*range(12))
        bench.link.acknowledges = False
        async with bench.running():
            await bench.until(lambda: len(bench.heard()) >= 9)
            bench.link.drop()
            await bench.until(lambda: not bench.connection.is_up)
            bench.link.acknowledges = True
            bench.link.restore()
            await bench.until(lambda: bench.drain.depth() == 0)
        assert bench.notices() == [["events", 2, 2]] * 2

    run(scene)


def test_where_the_disk_refuses_it_goes_straight_to_the_broker_or_is_counted():
    async def scene() -> None:
        bench = Bench()
        async with bench.running():
            await bench.until(lambda: bench.connection.is_up)
            bench.boxes[0].refuses = True
            bench.say(0)
            assert (bench.heard(), bench.drain.dropped()) == ([0], 0)
            bench.link.acknowledges = False
            bench.say(1)
            bench.link.drop()
            await bench.until(lambda: bench.drain.dropped() == 1)
            bench.say(2)
            assert bench.drain.dropped() == 2
            bench.boxes[0].refuses = False
            bench.say(3)
            bench.boxes[0].refuses = True
            bench.link.acknowledges = True
            bench.link.restore()
            bench.say(4)
            await bench.until(lambda: bench.drain.depth() == 0 and len(bench.notices()) == 1)
        assert bench.heard() == [0, 1, 3]
        assert bench.notices() == [["events", 3, 3]]

    run(scene)


def test_what_the_link_still_delivers_while_it_closes_is_forgotten():
    async def scene() -> None:
        bench = Bench()
        bench.link.acknowledges = False
        bench.connection.open()
        async with bench.drain.delivering():
            bench.say(0, 1)
            await bench.until(lambda: len(bench.heard()) == 2)
        bench.link._unanswered.pop(0).set_result(None)
        await bench.connection.close()
        bench.drain.close()
        assert bench.boxes[0].depth() == 1

    run(scene)


def test_the_outbox_is_flushed_a_while_after_a_put_and_a_refusing_disk_is_told_once(caplog):
    async def scene() -> None:
        bench = Bench()
        bench.boxes[0].unsyncable = True
        async with bench.running():
            for number in range(3):
                before = bench.boxes[0].flushes
                bench.say(number)
                await bench.until(lambda before=before: bench.boxes[0].flushes > before)
            flushes = bench.boxes[0].flushes
            await asyncio.sleep(0.05)
            assert bench.boxes[0].flushes == flushes

    run(scene)
    assert [r.message for r in caplog.records].count("outbox.not-synced") == 1


def test_a_broker_that_accepts_nothing_is_told_once_and_asked_ever_more_rarely(caplog, monkeypatch):
    monkeypatch.setattr(draining, "PAUSE_MIN_S", 0.001)

    async def scene() -> None:
        bench = Bench()
        bench.link.acknowledges = False
        async with bench.running():
            bench.say(0)
            for times in range(1, 6):
                await bench.until(lambda times=times: len(bench.heard()) == times)
                refused = bench.link._unanswered.pop()
                refused.set_exception(draining.LinkDown("refused it: not authorized"))
            bench.link.acknowledges = True
            await bench.until(lambda: bench.drain.depth() == 0)

    caplog.set_level("INFO")
    run(scene)
    told = [r.message for r in caplog.records if r.name == draining.__name__]
    assert told == ["outbox.not-accepted", "outbox.accepted-again"]


@pytest.mark.parametrize("channel", [topics.EVENT, topics.PREDICTION])
def test_without_mail_nothing_is_kept(channel):
    broker = MemoryBroker()
    link = MemoryLink(broker)
    link.open(lambda _: None)
    Post(link).keep(channel, Outgoing(EVENT, b"1", channel.qos, channel.retain))
    assert [o.qos for o in broker.published] == [channel.qos]
