"""What does not come is asked for again, where a broker's nodes may not know yet what another was given."""

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.adapters.link_mqtt.asking import TIMES, Unanswered
from agent.ports.link import LinkState, Message
from agent.wire.topics import Qos
from tests.brokers import Inbox
from tests.unit.adapters.test_link_mqtt import ACCEPTED, ScriptedBroker


def test_it_is_asked_again_after_longer_and_longer_silences_and_then_given_up():
    unanswered, asked = Unanswered(), []
    unanswered.ask(["a", "b/+", "c/#"], 100.0)
    for tenth in range(1000):
        asked += [(topic, tenth / 10) for topic in unanswered.due(100.0 + tenth / 10)]
    assert [topic for topic, _ in asked] == ["a"] * TIMES
    assert [round(at) for _, at in asked] == [1, 3, 7, 15, 31]


def test_nothing_is_asked_again_while_the_line_is_at_work_or_when_it_has_come():
    unanswered = Unanswered()
    unanswered.ask(["a", "b"], 0.0)
    unanswered.heard("b", 1.5)
    assert unanswered.due(2.0) == ()
    assert unanswered.due(2.5) == ("a",)
    unanswered.drop(["a"])
    assert unanswered.due(99.0) == ()


def test_a_link_asks_a_silent_broker_again():
    with ScriptedBroker(ACCEPTED) as broker:
        settings = LinkSettings(broker.host, broker.port, "asks", subscribe_qos=Qos.AT_MOST_ONCE)
        link, states, heard = MqttLink(settings), Inbox[LinkState](), Inbox[Message]()
        link.open(states)
        states.wait_for(1)
        link.subscribe(["kept"], Qos.AT_LEAST_ONCE, heard)
        broker.packets.wait_until(lambda seen: sum(b"kept" in packet for packet in seen) >= 2)
        link.close()
