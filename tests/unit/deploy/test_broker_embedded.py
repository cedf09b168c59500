"""What the embedded broker mends in amqtt, and what it was chosen for."""

import itertools

import pytest

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.ports.link import LinkState, Message, Outgoing, Up
from agent.wire.topics import Qos
from tests.brokers import WAIT_S, Inbox
from tests.fakes.chaosproxy import ChaosProxy

_numbers = itertools.count()


@pytest.fixture
def root() -> str:
    return f"mended/{next(_numbers)}"


@pytest.fixture
def join(any_broker):
    """Opens links that are closed after the test."""
    links = []

    def join(name: str, port: int = any_broker.port, will: Outgoing | None = None) -> MqttLink:
        states: Inbox[LinkState] = Inbox()
        link = MqttLink(LinkSettings("127.0.0.1", port, name, will=will))
        links.append(link)
        link.open(states)
        states.wait_until(lambda seen: isinstance(seen[-1], Up))
        return link

    yield join
    for link in links:
        link.close()


def keep(link: MqttLink, topic: str, payload: bytes) -> None:
    link.publish(Outgoing(topic, payload, Qos.AT_LEAST_ONCE, retain=True)).result(WAIT_S)


def test_a_new_client_is_not_sent_what_others_asked_for(any_broker, join, root):
    watcher = join(f"{root}/watcher")
    keep(watcher, f"{root}/model", bytes(200_000))
    seen: Inbox[Message] = Inbox()
    watcher.subscribe([f"{root}/#"], Qos.AT_LEAST_ONCE, seen)
    seen.wait_for(1)
    with ChaosProxy(any_broker.host, any_broker.port) as proxy:
        device = join(f"{root}/device", proxy.port)
        keep(device, f"{root}/status", b"online")
        device.close()
        assert proxy.bytes_down < 1_000


def test_what_was_acknowledged_is_kept_though_its_publisher_leaves_at_once(join, root):
    publisher = join(f"{root}/publisher")
    topics = [f"{root}/{n}" for n in range(55)]
    for topic in topics:
        publisher.publish(Outgoing(topic, bytes(65_536), Qos.AT_LEAST_ONCE, retain=True))
    publisher.close()
    reader = join(f"{root}/reader")
    seen: Inbox[Message] = Inbox()
    reader.subscribe(topics, Qos.AT_LEAST_ONCE, seen)
    assert {message.topic for message in seen.wait_for(55)} == set(topics)


def test_the_will_of_a_connection_that_was_replaced_never_comes_late(any_broker, join, root):
    status = f"{root}/status"
    seen: Inbox[Message] = Inbox()
    will = Outgoing(status, b"offline", Qos.AT_LEAST_ONCE, retain=True)
    with ChaosProxy(any_broker.host, any_broker.port) as proxy:
        keep(join(f"{root}/device", proxy.port, will), status, b"online")
        proxy.partition = True
        keep(join(f"{root}/device", will=will), status, b"online again")
        proxy.drop_all()
    watcher = join(f"{root}/watcher")
    watcher.subscribe([status, f"{root}/end"], Qos.AT_LEAST_ONCE, seen)
    keep(watcher, f"{root}/end", b"now")
    assert seen.wait_for(2)[0].payload == b"online again"
