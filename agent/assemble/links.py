"""From the broker's section of the configuration to a link."""

from pathlib import Path

from agent.adapters.link_mqtt import LinkSettings, Tls
from agent.config import Broker
from agent.core.broker_url import parse_urls
from agent.ports.link import Outgoing
from agent.wire import topics
from agent.wire.errors import ConfigError
from agent.wire.topics import DeviceId, Qos


def link_settings(broker: Broker, device: DeviceId, will: Outgoing | None) -> LinkSettings:
    """
    Raises:
        ConfigError: the address is none, or the options contradict each other.
    """
    address, *further = parse_urls(broker.url)
    if not address.tls and (broker.ca or broker.certificate):
        raise ConfigError(
            f"broker.url {broker.url!r} is not encrypted, but a certificate is named: use mqtts://"
        )
    return LinkSettings(
        host=address.host,
        port=address.port,
        client_id=client_id(broker.root, device),
        version=broker.protocol,
        keepalive_s=broker.keepalive_s,
        tls=Tls(_path(broker.ca), _path(broker.certificate), _path(broker.key)) if address.tls else None,
        username=broker.username or address.username,
        password_path=_path(broker.password_file),
        will=will,
        further=tuple((each.host, each.port) for each in further),
        subscribe_qos=Qos(broker.subscribe_qos),
    )


def client_id(root: str, device: DeviceId) -> str:
    """Two fleets on one broker may both have a pi-1; of two clients of one name a broker throws one out."""
    return f"shoal-{device}-{topics.sha256(root.encode())[:8]}"


def _path(text: str) -> Path | None:
    return Path(text) if text else None
