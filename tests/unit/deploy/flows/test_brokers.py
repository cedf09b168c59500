"""Two independent brokers as one link."""

import pytest

from agent.ports.link import Down, LinkState, Message, Outgoing, Up
from agent.wire import codec, topics
from agent.wire.errors import LinkDown, Unavailable
from agent.wire.reports import Phase, Presence, Report, Status
from agent.wire.topics import REPORT, STATUS, DeviceId, Qos
from deploy.assemble.desk.session import Session
from deploy.core.devices.fleet import fold
from deploy.flows.brokers import Brokers
from deploy.flows.devices import Patience, read_fleet
from tests.brokers import Inbox
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink

ROOT = topics.root("shoal/two")
QUICK = Patience(quiet_s=0.01, settle_s=0.02, wait_s=0.2)


class Two:
    def __init__(self):
        self.brokers = (MemoryBroker(), MemoryBroker())
        self.each = tuple(MemoryLink(broker) for broker in self.brokers)
        self.states = Inbox[LinkState]()
        self.link = Brokers(self.each, ROOT)
        self.link.open(self.states)
        self.link.settle(1.0)


@pytest.fixture
def two():
    made = Two()
    yield made
    made.link.close()


def out(topic, payload=b"x"):
    return Outgoing(topic, payload, Qos.AT_LEAST_ONCE, retain=True)


def test_what_is_said_goes_to_all_and_what_is_heard_comes_from_each(two):
    heard = Inbox[Message]()
    two.link.publish(out("kept")).result(1.0)
    assert [broker.retained["kept"] for broker in two.brokers] == [b"x", b"x"]
    two.link.subscribe(["word"], Qos.AT_LEAST_ONCE, heard)
    for broker in two.brokers:
        broker.publish("word", b"hello")
    assert len(heard.wait_for(2)) == 2


def test_it_stands_until_the_last_has_gone(two):
    two.each[0].drop()
    two.link.publish(out("kept")).result(1.0)
    assert two.link.links == (two.each[1],)
    two.each[1].drop()
    assert isinstance(two.states.items[-1], Down)
    assert sum(isinstance(state, Down) for state in two.states.items) == 1
    with pytest.raises(LinkDown, match="no broker"):
        two.link.publish(out("kept")).result(1.0)
    two.each[0].restore()
    assert isinstance(two.states.items[-1], Up)


def test_a_fleet_is_read_from_both_and_every_device_once(two):
    def left(broker, name, number, state):
        device = DeviceId(name)
        report = Report(device=device, at=FakeClock().now(), phase=Phase.IDLE, number=number)
        broker.publish(ROOT.device(REPORT, device), codec.encode(report), retain=True)
        status = Status(state=state, session="s")
        broker.publish(ROOT.device(STATUS, device), codec.encode(status), retain=True)

    for broker in two.brokers:
        broker.publish(ROOT.index(), b"{}", retain=True)
    home, other = two.brokers
    left(home, "at-home", 1, Presence.ONLINE)
    left(home, "moved", 1, Presence.OFFLINE)
    left(other, "moved", 2, Presence.ONLINE)
    left(other, "elsewhere", 1, Presence.ONLINE)
    found = read_fleet(two.link, ROOT, QUICK)
    assert not found.incomplete
    devices = fold(ROOT, found.messages)
    assert [(device.id, device.report.number, device.status.state) for device in devices] == [
        ("at-home", 1, "online"),
        ("elsewhere", 1, "online"),
        ("moved", 2, "online"),
    ]


def test_a_broker_that_goes_away_in_the_middle_is_left_out_as_long_as_another_stays(two):
    session, told = Session(two.link, ROOT), []

    def act(link):
        if link is two.each[0]:
            two.each[0].drop()
            raise LinkDown("gone")
        told.append(link)

    session.each(act)
    assert told == [two.each[1]]
    two.each[1].drop()
    with pytest.raises(LinkDown, match="no broker"):
        session.each(act)


def test_what_a_broker_that_stays_refuses_is_told(two):
    def refuse(_):
        raise Unavailable("it loses what it is given")

    with pytest.raises(Unavailable, match="loses"):
        Session(two.link, ROOT).each(refuse)
    with pytest.raises(Unavailable, match="loses"):
        Session(two.each[0], ROOT).each(refuse)
