import asyncio

from agent.loops.telling.post import Post
from agent.loops.telling.presence import Presence, new_session, will
from agent.wire import codec, reports, topics
from agent.wire.reports import Status
from agent.wire.topics import DeviceId, Root
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink

ROOT, DEVICE = Root("shoal/home"), DeviceId("pi")
ONLINE, OFFLINE = reports.Presence.ONLINE, reports.Presence.OFFLINE


def test_status_is_online_after_every_reconnect_and_offline_between():
    broker = MemoryBroker()
    link = MemoryLink(broker, will=will(ROOT, DEVICE, "abc"))
    presence = Presence(Post(link), ROOT, DEVICE, "abc", FakeClock().now, 60.0)
    link.open(lambda _: None)
    for _ in range(3):
        presence.connected()
        link.drop()
        link.restore()
    presence.connected()
    presence.leaving(orderly=True)
    told = [(o.retain, codec.decode(o.payload, Status).state) for o in broker.published]
    assert told == [(True, ONLINE), (True, OFFLINE)] * 4
    assert {o.topic for o in broker.published} == {ROOT.device(topics.STATUS, DEVICE)}


def test_only_who_was_told_to_stop_says_goodbye():
    broker = MemoryBroker()
    link = MemoryLink(broker, will=will(ROOT, DEVICE, "abc"))
    presence = Presence(Post(link), ROOT, DEVICE, "abc", FakeClock().now, 60.0)
    link.open(lambda _: None)
    presence.connected()
    link.drop()
    link.restore()
    presence.leaving(orderly=False)
    presence.leaving(orderly=True)
    told = [codec.decode(o.payload, Status) for o in broker.published]
    assert [(each.state, each.goodbye) for each in told] == [
        (ONLINE, False), (OFFLINE, False), (OFFLINE, False), (OFFLINE, True),
    ]  # fmt: skip


async def _until(holds):
    async with asyncio.timeout(10.0):
        while not holds():  # noqa: ASYNC110 - the broker in memory tells nobody
            await asyncio.sleep(0.001)


def test_it_says_again_and_again_that_it_is_there_and_on_which_broker_and_not_while_it_is_cut_off():
    async def live():
        broker, clock = MemoryBroker(), FakeClock()
        link = MemoryLink(broker, will=will(ROOT, DEVICE, "abc"))
        link.open(lambda _: None)
        presence = Presence(Post(link), ROOT, DEVICE, "abc", clock.now, 0.001)
        presence.connected("hub:1883")
        beating = asyncio.create_task(presence.run())
        await _until(lambda: len(broker.published) > 3)
        presence.disconnected()
        await asyncio.sleep(0)
        told = len(broker.published)
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert len(broker.published) == told
        beating.cancel()
        last = codec.decode(broker.published[-1].payload, Status)
        assert (last.at, last.beat_s, last.broker) == (clock.now(), 0.001, "hub:1883")

    asyncio.run(live())


def test_every_run_of_the_agent_has_a_session_of_its_own():
    assert len({new_session() for _ in range(100)}) == 100
