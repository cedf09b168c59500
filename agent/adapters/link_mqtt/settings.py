"""What a link must know about its broker."""

from dataclasses import dataclass, replace
from pathlib import Path

from agent.core.page.place import bracketed
from agent.ports.link import Outgoing
from agent.wire.topics import MqttVersion, Qos


@dataclass(frozen=True, slots=True)
class Tls:
    """The broker's certificate is always checked, strictly by RFC 5280, and that it is this host's."""

    ca_path: Path | None = None
    """Whom to trust; the system's certificates if None."""
    certificate_path: Path | None = None
    key_path: Path | None = None
    """Without a passphrase; None: the certificate's file holds it too."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    host: str
    port: int
    client_id: str
    """Unique on the broker: a second client under this id throws the first one out."""
    version: MqttVersion = MqttVersion.MQTT_3_1_1
    keepalive_s: int = 30
    tls: Tls | None = None
    username: str | None = None
    password_path: Path | None = None
    """Read at each connect, so that a changed password needs no restart."""
    will: Outgoing | None = None
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 60.0
    further: tuple[tuple[str, int], ...] = ()
    """Host and port of other brokers that bear the same fleet; one at a time is used."""
    subscribe_qos: Qos = Qos.AT_LEAST_ONCE
    """The highest that is asked for. NATS makes a replicated consumer for each subscription above 0, and its
    nodes are consistent in the end: with 0, what does not come is asked for again (see `asking`)."""

    @property
    def alternatives(self) -> "tuple[LinkSettings, ...]":
        """The same for each broker alone."""
        places = ((self.host, self.port), *self.further)
        return tuple(replace(self, host=host, port=port, further=()) for host, port in places)

    @property
    def place(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"
