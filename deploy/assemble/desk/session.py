"""One session of the operator with the broker."""

import logging
import queue
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.adapters.link_mqtt import LinkSettings, MqttLink, Tls
from agent.core.broker_url import parse_urls
from agent.ports.link import Down, Link, LinkState, Up
from agent.wire import topics
from agent.wire.errors import ConfigError, LinkDown, PortError
from agent.wire.topics import Qos, Root
from deploy.adapters.workspace import Broker, Workspace
from deploy.flows.brokers import Brokers

log = logging.getLogger(__name__)

CONNECT_S: Final = 8.0
SECOND_CHANCE_S: Final = 3.0
"""After a refusal: the broker may just be starting."""


@dataclass(frozen=True, slots=True)
class Session:
    """A link that is up, and where the fleet's topics stand."""

    link: Link
    root: Root

    @property
    def links(self) -> tuple[Link, ...]:
        """One for each broker that is up and keeps for itself what it was given."""
        return self.link.links if isinstance(self.link, Brokers) else (self.link,)

    def each(self, act: Callable[[Link], None]) -> None:
        """Do it over each of them. A broker that goes away meanwhile is left out, as long as another stays;
        it is brought up to date when it is back.

        Raises:
            LinkDown: none is up.
            PortError: what `act` raises.
        """
        links = self.links
        if not links:
            raise LinkDown("no broker is there")
        for link in links:
            try:
                act(link)
            except PortError as error:
                if link in self.links or not self.links:
                    raise
                log.warning("broker.left_out", extra={"reason": str(error)})


@contextmanager
def connected(
    workspace: Workspace, on_state: Callable[[LinkState], None] = lambda _: None
) -> Iterator[Session]:
    """
    Args:
        workspace: names the broker.
        on_state: told of every connection and its loss, on the link's thread.

    Raises:
        LinkDown: no broker let us in within eight seconds each; the message has the reasons.
        ConfigError: the address, the root or a file of the settings is wrong.
    """
    broker = workspace.settings.broker
    root = topics.root(broker.root)
    link = _link(broker, root)
    try:
        _wait_until_up(link, broker.url, on_state)
        if isinstance(link, Brokers):
            link.settle(SECOND_CHANCE_S)
        yield Session(link, root)
    finally:
        link.close()


@contextmanager
def standing_by(workspace: Workspace, on_state: Callable[[LinkState], None]) -> Iterator[Session]:
    """As `connected`, whether or not a broker is there: it is looked for as long as this lasts.

    Raises:
        ConfigError: as `connected`.
    """
    broker = workspace.settings.broker
    root = topics.root(broker.root)
    link = _link(broker, root)
    link.open(on_state)
    try:
        yield Session(link, root)
    finally:
        link.close()


def _link(broker: Broker, root: Root) -> Link:
    settings = _settings(broker)
    if not broker.independent:
        return MqttLink(settings)
    return Brokers([MqttLink(each) for each in settings.alternatives], root)


def _wait_until_up(link: Link, url: str, on_state: Callable[[LinkState], None]) -> None:
    states: queue.Queue[LinkState] = queue.Queue()

    def told(state: LinkState) -> None:
        on_state(state)
        states.put(state)

    link.open(told)
    within_s = CONNECT_S * len(parse_urls(url))
    reason = f"it did not answer within {within_s:g} s"
    ends = time.monotonic() + within_s
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
    raise LinkDown(
        f"the broker {url} cannot be reached: {reason}; start it, or mend its address: "
        "[broker] in shoal.toml, or --broker where a command takes it"
    )


def _require_files(broker: Broker) -> None:
    """A device waits for a file that is missing; a person mends it."""
    for name in ("password_file", "ca", "certificate", "key"):
        path = getattr(broker, name)
        try:
            if path:
                Path(path).read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}, which shoal.toml names as {name}: {error.strerror}") from error


def _settings(broker: Broker) -> LinkSettings:
    """
    Raises:
        ConfigError: the address is none, a file cannot be read, or the options contradict each other.
    """
    address, *further = parse_urls(broker.url)
    _require_files(broker)
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
        further=tuple((each.host, each.port) for each in further),
        subscribe_qos=Qos(broker.subscribe_qos),
    )
