"""A link that has several brokers: it goes on where one is gone, and stays where it is well."""

from contextlib import ExitStack

import pytest

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.core import turns
from agent.ports.link import Down, LinkState, Message, Outgoing, Up
from agent.wire.topics import Qos
from deploy.adapters.broker_local import start_broker
from tests.brokers import WAIT_S, Inbox
from tests.fakes.chaosproxy import ChaosProxy

NAME = next(f"failover-{n}" for n in range(9) if turns.begin(f"failover-{n}", 2).broker == 0)
"""One that begins with the first."""


@pytest.fixture
def proxies(tmp_path):
    with ExitStack() as stack:
        brokers = [stack.enter_context(start_broker(tmp_path / name)) for name in ("one", "two")]
        yield [stack.enter_context(ChaosProxy(broker.host, broker.port)) for broker in brokers]


def opened(stack, proxies, **others):
    first, second = proxies
    settings = LinkSettings(
        first.host,
        first.port,
        NAME,
        further=((second.host, second.port),),
        backoff_base_s=0.02,
        backoff_cap_s=0.1,
        **others,
    )
    link, states = MqttLink(settings), Inbox[LinkState]()
    stack.callback(link.close)
    link.open(states)
    return link, states


def places(states):
    return [state.place for state in states.items if isinstance(state, Up)]


def test_it_goes_on_with_the_next_and_makes_presence_and_subscriptions_anew(proxies):
    will = Outgoing("gone", b"yes", Qos.AT_LEAST_ONCE, retain=True)
    with ExitStack() as stack:
        link, states = opened(stack, proxies, will=will)
        states.wait_until(lambda _: len(places(states)) == 1)
        heard = Inbox[Message]()
        link.subscribe(["word"], Qos.AT_LEAST_ONCE, heard)
        proxies[0].refuse = True
        proxies[0].drop_all()
        states.wait_until(lambda _: len(places(states)) == 2)
        assert places(states) == [f"{proxy.host}:{proxy.port}" for proxy in proxies]
        link.publish(Outgoing("word", b"here", Qos.AT_LEAST_ONCE, retain=False)).result(WAIT_S)
        assert heard.wait_for(1)[0].payload == b"here"
        told = Inbox[Message]()
        watcher = MqttLink(LinkSettings(proxies[1].host, proxies[1].port, "watcher"))
        stack.callback(watcher.close)
        watcher.open(lambda _: None)
        watcher.subscribe(["gone"], Qos.AT_LEAST_ONCE, told)
        proxies[1].refuse = True
        proxies[1].drop_all()
        proxies[1].refuse = False
        assert told.wait_for(1)[0].payload == b"yes"


def test_where_none_is_there_it_is_told_once_with_every_reason(proxies):
    for proxy in proxies:
        proxy.refuse = True
    with ExitStack() as stack:
        _, states = opened(stack, proxies)
        states.wait_for(1)
        for proxy in proxies:
            proxy.refuse = False
        found = states.wait_until(lambda seen: isinstance(seen[-1], Up))
    down, up = found
    assert isinstance(down, Down)
    assert all(f"{proxy.host}:{proxy.port}" in down.reason for proxy in proxies)
    assert isinstance(up, Up)
    assert up.attempts > 2


def test_it_stays_where_it_is_when_its_home_returns(proxies):
    proxies[0].refuse = True
    with ExitStack() as stack:
        link, states = opened(stack, proxies)
        states.wait_for(1)
        proxies[0].refuse = False
        link.publish(Outgoing("word", b"here", Qos.AT_LEAST_ONCE, retain=False)).result(WAIT_S)
        assert places(states) == [f"{proxies[1].host}:{proxies[1].port}"]


def test_no_subscription_asks_for_more_than_it_was_told_to(proxies):
    asked = []
    with ExitStack() as stack:
        link, states = opened(stack, proxies, subscribe_qos=Qos.AT_MOST_ONCE)
        states.wait_for(1)
        heard = Inbox[Message]()
        link.subscribe(["word"], Qos.AT_LEAST_ONCE, heard)
        link.publish(Outgoing("word", b"here", Qos.AT_LEAST_ONCE, retain=True)).result(WAIT_S)
        heard.wait_for(1)
        asked = [wanted.qos for wanted in link._subscriptions.values()]
    assert asked == [Qos.AT_MOST_ONCE]
