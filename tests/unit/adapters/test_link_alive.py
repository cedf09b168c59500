"""What the watchdog asks of the link."""

import socket

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.ports.link import Down
from tests.brokers import Inbox


def test_a_link_is_alive_from_open_to_close_whatever_becomes_of_the_broker():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody_s_port = taken.getsockname()[1]
    link, states = MqttLink(LinkSettings("127.0.0.1", nobody_s_port, "alive")), Inbox()
    assert not link.alive
    link.open(states)
    states.wait_until(lambda told: isinstance(told[-1], Down))
    assert link.alive
    link.close()
    assert not link.alive
