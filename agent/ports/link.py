"""One session with an MQTT broker."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from agent.core.refusal import Refusal
from agent.wire.topics import Qos


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Outgoing:
    topic: str
    payload: bytes
    qos: Qos
    retain: bool


@dataclass(frozen=True, slots=True)
class Up:
    """Connected; `attempts` since the last time it was."""

    attempts: int
    place: str = field(default="", compare=False)
    """Which broker took us in, as host:port."""


@dataclass(frozen=True, slots=True)
class Down:
    reason: str
    refusal: Refusal = Refusal.OTHER
    """What kind of reason it is, where no connection came about."""


LinkState = Up | Down


class Link(Protocol):
    """Sinks are called on the link's own thread and must return at once; nothing here blocks.

    Subscriptions outlive the connection: the link makes them anew after every reconnect, so a retained
    message may arrive more than once.
    """

    def open(self, on_state: Callable[[LinkState], None]) -> None:
        """Start connecting, and keep reconnecting with full jitter until closed."""
        ...

    def publish(self, outgoing: Outgoing) -> Future[None]:
        """The future ends when the broker has acknowledged (QoS 1) or the message was sent (QoS 0).

        It raises `LinkDown` where the message was not handed over; nothing is queued while the link is
        down, because what must survive belongs into an outbox.
        """
        ...

    def subscribe(self, topics: Sequence[str], qos: Qos, sink: Callable[[Message], None]) -> None:
        """Ask for these exact topics or filters in one packet. A topic that stands already is asked for
        anew (UNSUBSCRIBE, then SUBSCRIBE), so that its retained message comes again on every broker.
        """
        ...

    def unsubscribe(self, topics: Sequence[str]) -> None: ...

    def close(self) -> None:
        """Say goodbye with a clean DISCONNECT after what was published has gone, within two seconds."""
        ...
