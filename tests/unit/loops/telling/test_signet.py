import pytest

from agent.loops.telling.post import Post
from agent.loops.telling.presence import Presence, will
from agent.loops.telling.reporter import Identity, Reporter
from agent.loops.telling.signet import Signet
from agent.wire import codec, seal, topics
from agent.wire.errors import Malformed
from agent.wire.reasons import Reason
from agent.wire.reports import Capabilities, Report, Status
from agent.wire.reports import Presence as State
from agent.wire.seal import DeviceKey
from agent.wire.topics import DeviceId, Root
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink

ROOT, DEVICE, KEY = Root("shoal/home"), DeviceId("pi"), bytes(range(32))
SIGNET = Signet(boot=7, key=KEY)


def _told(broker, channel):
    topic = ROOT.device(channel, DEVICE)
    return [outgoing.payload for outgoing in broker.published if outgoing.topic == topic]


def test_status_and_last_will_bear_the_seal_and_the_boot():
    broker = MemoryBroker()
    link = MemoryLink(broker, will=will(ROOT, DEVICE, "abc", SIGNET))
    presence = Presence(Post(link, signet=SIGNET), ROOT, DEVICE, "abc", FakeClock().now, 60.0)
    link.open(lambda _: None)
    presence.connected()
    link.drop()
    topic = ROOT.device(topics.STATUS, DEVICE)
    told = [codec.decode(seal.unseal(topic, c, KEY), Status) for c in _told(broker, topics.STATUS)]
    assert [(each.state, each.boot) for each in told] == [(State.ONLINE, 7), (State.OFFLINE, 7)]


def test_reports_are_sealed_and_each_has_a_higher_number_than_the_one_before():
    broker = MemoryBroker()
    link = MemoryLink(broker)
    link.open(lambda _: None)
    reporter = Reporter(
        Post(link, signet=SIGNET), FakeClock(), Identity(ROOT, DEVICE, topics.MAIN, Capabilities())
    )
    reporter.connected()
    reporter.hold(Reason.CLOCK, "1970")
    reporter.connected()
    topic = ROOT.device(topics.REPORT, DEVICE)
    told = [codec.decode(seal.unseal(topic, c, KEY), Report) for c in _told(broker, topics.REPORT)]
    assert [(each.boot, each.number) for each in told] == [(7, 1), (7, 2), (7, 3)]


def test_a_sealed_document_is_read_by_who_does_not_hold_the_key():
    topic = ROOT.device(topics.STATUS, DEVICE)
    content = SIGNET.pressed(topic, Status(state=State.ONLINE, session="abc", boot=7))
    assert codec.decode(content, Status).boot == 7


def test_a_device_without_a_key_says_what_it_always_said():
    status = Status(state=State.ONLINE, session="abc", boot=7)
    assert Signet(boot=7).pressed("a", status) == codec.encode(status)


def test_the_key_stands_in_no_log():
    assert KEY.hex() not in repr(SIGNET)
    assert repr(KEY) not in repr(SIGNET)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("above", [0, 1, 10**15 - 1])
def test_a_key_is_read_back_from_its_file(ending, above):
    key = DeviceKey(KEY, above)
    assert seal.key_from(seal.key_text(key).strip() + ending) == key


@pytest.mark.parametrize("content", [b"", b"ab\n", b"z" * 64, KEY, KEY.hex().encode() * 2])
def test_what_is_no_key_is_refused(content):
    with pytest.raises(Malformed):
        seal.key_from(content)
