from agent.loops.telling.post import Post
from agent.loops.telling.presence import Presence, new_session, will
from agent.wire import codec, reports, topics
from agent.wire.reports import Status
from agent.wire.topics import DeviceId, Root
from tests.fakes.link import MemoryBroker, MemoryLink

ROOT, DEVICE = Root("shoal/home"), DeviceId("pi")
ONLINE, OFFLINE = (
    Status(state=state, session="abc") for state in (reports.Presence.ONLINE, reports.Presence.OFFLINE)
)


def test_status_is_online_after_every_reconnect_and_offline_between():
    broker = MemoryBroker()
    link = MemoryLink(broker, will=will(ROOT, DEVICE, "abc"))
    presence = Presence(Post(link), ROOT, DEVICE, "abc")
    link.open(lambda _: None)
    for _ in range(3):
        presence.connected()
        link.drop()
        link.restore()
    presence.connected()
    presence.leaving()
    told = [(o.retain, codec.decode(o.payload, Status)) for o in broker.published]
    assert told == [(True, ONLINE), (True, OFFLINE)] * 4
    assert {o.topic for o in broker.published} == {ROOT.device(topics.STATUS, DEVICE)}


def test_every_run_of_the_agent_has_a_session_of_its_own():
    assert len({new_session() for _ in range(100)}) == 100
