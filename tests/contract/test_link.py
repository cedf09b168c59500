"""What every link does, in memory and to each broker that this machine has."""

import asyncio
import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Thread

import pytest

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.ports.link import Down, Link, LinkState, Message, Outgoing, Up
from agent.wire.errors import LinkDown
from agent.wire.topics import MqttVersion, Qos
from deploy.adapters.broker_local import BrokerKind, LocalBroker
from deploy.simulation.link import FleetLink
from deploy.simulation.packets import Hello
from deploy.simulation.wire import Dial
from tests.brokers import WAIT_S, Inbox
from tests.fakes.chaosproxy import ChaosProxy
from tests.fakes.link import MemoryBroker, MemoryLink

AT_LEAST_ONCE = Qos.AT_LEAST_ONCE
_numbers = itertools.count()


@dataclass
class Party:
    """A link, what it told about itself, and the network between it and its broker."""

    link: Link
    interrupt: Callable[[], None]
    """Break the connection; it comes back."""
    die: Callable[[], None]
    """Break the connection for ever."""
    states: Inbox[LinkState] = field(default_factory=Inbox)

    def open(self) -> "Party":
        self.link.open(self.states)
        self.states.wait_until(lambda states: Up(1) in states)
        return self


class MemoryRig:
    def __init__(self) -> None:
        self._broker = MemoryBroker()

    def party(self, name: str, will: Outgoing | None = None) -> Party:
        del name
        link = MemoryLink(self._broker, will=will)

        def interrupt() -> None:
            link.drop()
            link.restore()

        return Party(link, interrupt, link.drop)


class MqttRig:
    def __init__(self, broker: LocalBroker, version: MqttVersion, stack: ExitStack) -> None:
        self._broker = broker
        self._version = version
        self._stack = stack

    def party(self, name: str, will: Outgoing | None = None) -> Party:
        proxy = self._stack.enter_context(ChaosProxy(self._broker.host, self._broker.port))
        settings = LinkSettings(
            proxy.host, proxy.port, name, self._version, will=will, backoff_base_s=0.05, backoff_cap_s=0.2
        )
        link = MqttLink(settings)
        self._stack.callback(link.close)

        def die() -> None:
            proxy.refuse = True
            proxy.drop_all()

        return Party(link, proxy.drop_all, die)


class FleetRig:
    """The link of simulated devices: many share one event loop."""

    def __init__(self, broker: LocalBroker, loop: asyncio.AbstractEventLoop, stack: ExitStack) -> None:
        self._broker, self._loop, self._stack = broker, loop, stack

    def party(self, name: str, will: Outgoing | None = None) -> Party:
        proxy = self._stack.enter_context(ChaosProxy(self._broker.host, self._broker.port))
        hello = Hello(client_id=name, keepalive_s=30, will=will)
        link = FleetLink(Dial(proxy.host, proxy.port, hello, 0.05, 0.2), self._loop)
        self._stack.callback(link.close)

        def die() -> None:
            proxy.refuse = True
            proxy.drop_all()

        return Party(link, proxy.drop_all, die)


@contextmanager
def looping() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


Rig = MemoryRig | MqttRig | FleetRig
CASES = {
    "memory": None,
    "mosquitto-3.1.1": (BrokerKind.MOSQUITTO, MqttVersion.MQTT_3_1_1),
    "mosquitto-5": (BrokerKind.MOSQUITTO, MqttVersion.MQTT_5),
    "embedded-3.1.1": (BrokerKind.EMBEDDED, MqttVersion.MQTT_3_1_1),
    "fleet-mosquitto": (BrokerKind.MOSQUITTO, None),
    "fleet-embedded": (BrokerKind.EMBEDDED, None),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def rig(request: pytest.FixtureRequest, brokers: Callable[[BrokerKind], LocalBroker]) -> Iterator[Rig]:
    if request.param is None:
        yield MemoryRig()
        return
    kind, version = request.param
    with ExitStack() as stack:
        if version is None:
            yield FleetRig(brokers(kind), stack.enter_context(looping()), stack)
        else:
            yield MqttRig(brokers(kind), version, stack)


@pytest.fixture
def root() -> str:
    return f"contract/{next(_numbers)}"


@pytest.fixture
def party(rig, root) -> Party:
    return rig.party(f"{root}/a").open()


@pytest.fixture
def other(rig, root) -> Party:
    return rig.party(f"{root}/b").open()


def put(party: Party, topic: str, payload: bytes, *, retain: bool = True) -> None:
    party.link.publish(Outgoing(topic, payload, AT_LEAST_ONCE, retain)).result(WAIT_S)


def ask(party: Party, *topics: str) -> Inbox[Message]:
    inbox: Inbox[Message] = Inbox()
    party.link.subscribe(topics, AT_LEAST_ONCE, inbox)
    return inbox


def test_a_retained_message_arrives_when_it_is_asked_for(party, other, root):
    put(other, f"{root}/x", b"kept")
    inbox = ask(party, f"{root}/x")
    assert inbox.wait_for(1) == [Message(f"{root}/x", b"kept", retained=True)]


def test_a_message_to_a_standing_subscription_is_not_marked_as_retained(party, other, root):
    put(other, f"{root}/x", b"old")
    inbox = ask(party, f"{root}/x")
    inbox.wait_for(1)
    put(other, f"{root}/x", b"new")
    assert inbox.wait_for(2)[1] == Message(f"{root}/x", b"new", retained=False)


def test_asking_again_brings_the_retained_message_again(party, root):
    put(party, f"{root}/x", b"kept")
    for _ in range(5):
        inbox = ask(party, f"{root}/x")
        assert inbox.wait_for(1)[0] == Message(f"{root}/x", b"kept", retained=True)


def test_a_topic_given_up_and_asked_for_at_once_stands(party, other, root):
    put(party, f"{root}/x", b"kept")
    for turn in range(5):
        ask(party, f"{root}/x")
        party.link.unsubscribe([f"{root}/x"])
        inbox = ask(party, f"{root}/x")
        inbox.wait_for(1)
        put(other, f"{root}/x", b"turn %d" % turn)
        inbox.wait_until(lambda seen, turn=turn: seen[-1].payload == b"turn %d" % turn)


def test_nothing_arrives_after_unsubscribing(party, other, root):
    given_up, kept = ask(party, f"{root}/x"), ask(party, f"{root}/y")
    party.link.unsubscribe([f"{root}/x"])
    put(other, f"{root}/x", b"unwanted")
    put(other, f"{root}/y", b"wanted")
    kept.wait_for(1)
    assert given_up.items == []


def test_a_publish_ends_when_the_broker_has_it(party, other, root):
    inbox = ask(other, f"{root}/x")
    put(other, f"{root}/x", b"ready")
    inbox.wait_for(1)
    for qos in Qos:
        sent = party.link.publish(Outgoing(f"{root}/x", qos.name.encode(), qos, retain=False))
        assert sent.result(WAIT_S) is None
    assert [message.payload for message in inbox.wait_for(3)[1:]] == [qos.name.encode() for qos in Qos]


def test_nothing_can_be_published_before_the_link_is_up_nor_after_it_is_closed(rig, root):
    party = rig.party(root)
    early = party.link.publish(Outgoing(f"{root}/x", b"", AT_LEAST_ONCE, retain=False))
    with pytest.raises(LinkDown):
        early.result(0)
    party.open()
    party.link.close()
    late = party.link.publish(Outgoing(f"{root}/x", b"", AT_LEAST_ONCE, retain=False))
    with pytest.raises(LinkDown):
        late.result(0)


def test_what_was_published_before_closing_gets_there(rig, other, root):
    for turn in range(3):
        inbox = ask(other, f"{root}/{turn}")
        party = rig.party(f"{root}/{turn}").open()
        party.link.publish(Outgoing(f"{root}/{turn}", b"last words", AT_LEAST_ONCE, retain=True))
        party.link.close()
        assert inbox.wait_for(1)[0].payload == b"last words"


def test_closing_is_quick_and_may_be_repeated(party):
    began = time.monotonic()
    party.link.close()
    party.link.close()
    assert time.monotonic() - began < 2.0


def test_abrupt_death_publishes_the_will_and_retains_it(rig, other, root):
    inbox = ask(other, f"{root}/status")
    will = Outgoing(f"{root}/status", b"offline", AT_LEAST_ONCE, retain=True)
    party = rig.party(f"{root}/mortal", will).open()
    put(party, f"{root}/status", b"online")
    inbox.wait_for(1)
    party.die()
    assert [message.payload for message in inbox.wait_for(2)] == [b"online", b"offline"]
    assert ask(other, f"{root}/status").wait_for(1)[0] == Message(f"{root}/status", b"offline", retained=True)


def test_a_clean_goodbye_publishes_no_will(rig, other, root):
    inbox = ask(other, f"{root}/status", f"{root}/end")
    party = rig.party(
        f"{root}/mortal", Outgoing(f"{root}/status", b"offline", AT_LEAST_ONCE, retain=True)
    ).open()
    put(party, f"{root}/status", b"online")
    party.link.close()
    put(other, f"{root}/end", b"")
    assert [message.payload for message in inbox.wait_for(2)] == [b"online", b""]


def test_a_link_that_comes_back_has_its_subscriptions(party, other, root):
    put(other, f"{root}/kept", b"kept")
    inbox = ask(party, f"{root}/kept", f"{root}/live/+")
    inbox.wait_for(1)
    inbox.clear()
    party.interrupt()
    states = party.states.wait_until(lambda states: [type(state) for state in states] == [Up, Down, Up])
    assert isinstance(states[1], Down)
    assert states[1].reason
    assert inbox.wait_for(1)[0] == Message(f"{root}/kept", b"kept", retained=True)
    put(other, f"{root}/live/x", b"live", retain=False)
    inbox.wait_until(lambda seen: seen[-1] == Message(f"{root}/live/x", b"live", retained=False))


def test_what_was_given_up_while_the_link_was_down_stays_so(rig, other, root):
    party = rig.party(root)
    given_up, kept = ask(party, f"{root}/x"), ask(party, f"{root}/y")
    party.link.unsubscribe([f"{root}/x"])
    put(other, f"{root}/x", b"unwanted")
    put(other, f"{root}/y", b"wanted")
    party.open()
    kept.wait_for(1)
    assert given_up.items == []


def test_deleting_a_retained_message_leaves_nothing(party, other, root):
    put(party, f"{root}/x", b"kept")
    put(party, f"{root}/x", b"")
    put(party, f"{root}/y", b"kept")
    inbox = ask(other, f"{root}/x", f"{root}/y")
    assert [message.topic for message in inbox.wait_for(1)] == [f"{root}/y"]


def test_a_megabyte_of_chunks_arrives_through_a_window(party, other, root):
    chunks = [hashlib.sha256(b"%d" % n).digest() * 2048 for n in range(16)]
    for n, chunk in enumerate(chunks):
        put(other, f"{root}/{n}", chunk)
    inbox = ask(party, *(f"{root}/{n}" for n in range(8)))
    for n in range(8, 16):
        done = inbox.wait_for(n - 7)[n - 8].topic
        party.link.unsubscribe([done])
        party.link.subscribe([f"{root}/{n}"], AT_LEAST_ONCE, inbox)
    sent = {f"{root}/{n}": chunk for n, chunk in enumerate(chunks)}
    inbox.wait_until(lambda seen: {message.topic: message.payload for message in seen} == sent)


def test_a_fleet_of_300_in_16_shards_is_read_whole(party, other, root):
    sent = [
        other.link.publish(Outgoing(f"{root}/{n % 16:x}/{n}/{leaf}", b"online", AT_LEAST_ONCE, retain=True))
        for n in range(300)
        for leaf in ("status", "report")
    ]
    for future in sent:
        future.result(WAIT_S)
    filters = [f"{root}/{shard}/+/{leaf}" for shard in "0123456789abcdef" for leaf in ("status", "report")]
    inbox = ask(party, *filters)
    inbox.wait_until(lambda seen: len({message.topic for message in seen}) == 600)


@pytest.mark.parametrize(
    ("topic_filter", "takes"),
    [
        ("a/+/c", ["a/b/c"]),
        ("a/#", ["a", "a/b", "a/b/c", "a/b/d"]),
        ("a/b/c", ["a/b/c"]),
        ("+/b/d", ["a/b/d"]),
    ],
)
def test_filters_take_what_mqtt_says(party, other, root, topic_filter, takes):
    for topic in ("a", "a/b", "a/b/c", "a/b/d", "b", "end"):
        put(other, f"{root}/{topic}", b"")
        put(other, f"{root}/{topic}", b"kept")
    inbox = ask(party, f"{root}/{topic_filter}", f"{root}/end")
    seen = inbox.wait_for(len(takes) + 1)
    assert {message.topic for message in seen} == {f"{root}/{topic}" for topic in [*takes, "end"]}
