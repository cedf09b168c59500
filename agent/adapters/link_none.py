"""A link for a device that has no broker: what it says goes nowhere."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from agent.ports.link import LinkState, Message, Outgoing
from agent.wire.topics import Qos


class NoLink:
    """Implements `agent.ports.link.Link`; it is never up."""

    def open(self, on_state: Callable[[LinkState], None]) -> None: ...

    def publish(self, outgoing: Outgoing) -> Future[None]:  # noqa: ARG002 - nobody is there to take it
        gone: Future[None] = Future()
        gone.set_result(None)
        return gone

    def subscribe(self, topics: Sequence[str], qos: Qos, sink: Callable[[Message], None]) -> None: ...

    def unsubscribe(self, topics: Sequence[str]) -> None: ...

    def close(self) -> None: ...
