"""What the demo needs of the outside: a broker, and a link to watch the device by."""

import secrets
from collections.abc import Callable

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.core.broker_url import parse_url
from agent.ports.link import Link, LinkState
from deploy.adapters.broker_local import LocalBroker, start_broker
from deploy.adapters.registry_pooch import models_folder

__all__ = ["LocalBroker", "models_folder", "open_link", "start_broker"]


def open_link(url: str, on_state: Callable[[LinkState], None]) -> Link:
    """
    Raises:
        ConfigError: the URL is none.
    """
    address = parse_url(url)
    link = MqttLink(LinkSettings(address.host, address.port, f"shoal-demo-{secrets.token_hex(4)}"))
    link.open(on_state)
    return link
