"""One session of the operator with the broker."""

import queue
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.adapters.link_mqtt import LinkSettings, MqttLink, Tls
from agent.core.broker_url import parse_url
from agent.ports.link import Down, Link, LinkState, Up
from agent.wire import topics
from agent.wire.errors import ConfigError, LinkDown
from agent.wire.topics import Root
from deploy.adapters.workspace import Broker, Workspace

CONNECT_S: Final = 8.0
SECOND_CHANCE_S: Final = 3.0
"""After a refusal: the broker may just be starting."""


@dataclass(frozen=True, slots=True)
class Session:
    """A link that is up, and where the fleet's topics stand."""

    link: Link
    root: Root


@contextmanager
def connected(
    workspace: Workspace, on_state: Callable[[LinkState], None] = lambda _: None
) -> Iterator[Session]:
    """
    Args:
        workspace: names the broker.
        on_state: told of every connection and its loss, on the link's thread.

    Raises:
        LinkDown: the broker did not let us in within eight seconds; the message has its reason.
        ConfigError: the address, the root or a file of the settings is wrong.
    """
    broker = workspace.settings.broker
    root = topics.root(broker.root)
    link = MqttLink(_settings(broker))
    try:
        _wait_until_up(link, broker.url, on_state)
        yield Session(link, root)
    finally:
        link.close()


def _wait_until_up(link: Link, url: str, on_state: Callable[[LinkState], None]) -> None:
    states: queue.Queue[LinkState] = queue.Queue()

    def told(state: LinkState) -> None:
        on_state(state)
        states.put(state)

    link.open(told)
    reason = f"it did not answer within {CONNECT_S:g} s"
    ends = time.monotonic() + CONNECT_S
    while (left := ends - time.monotonic()) > 0:
        try:
            state = states.get(timeout=left)
        except queue.Empty:
            break
        match state:
            case Up():
                return
            case Down(said):
                reason = said
                ends = min(ends, time.monotonic() + SECOND_CHANCE_S)
    raise LinkDown(f"the broker {url} cannot be reached: {reason}")


def _settings(broker: Broker) -> LinkSettings:
    """
    Raises:
        ConfigError: the address is none, or the options contradict each other.
    """
    address = parse_url(broker.url)
    files = (broker.ca, broker.certificate, broker.key)
    if not address.tls and any(files):
        raise ConfigError(
            f"broker url {broker.url!r} is not encrypted, but a certificate is named: use mqtts://"
        )
    return LinkSettings(
        host=address.host,
        port=address.port,
        client_id=f"shoal-operator-{secrets.token_hex(4)}",
        version=broker.protocol,
        tls=Tls(*(Path(file) if file else None for file in files)) if address.tls else None,
        username=broker.username or address.username,
        password_path=Path(broker.password_file) if broker.password_file else None,
        backoff_cap_s=2.0,
    )
