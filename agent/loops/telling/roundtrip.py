"""How long the broker takes to acknowledge, seen on what is published anyway."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from agent.ports.clock import Clock
from agent.ports.link import Link, LinkState, Message, Outgoing
from agent.wire.topics import Qos

FRESH_S: Final = 120.0


class TimedLink:
    """A link that takes the time from each QoS 1 publish to its acknowledgement."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link, self._clock = link, clock
        self._latest: tuple[int, float] | None = None

    @property
    def round_trip_ms(self) -> float | None:
        """The newest; None where nothing was acknowledged of late."""
        if self._latest is None:
            return None
        at_ns, trip_ms = self._latest
        return trip_ms if self._clock.monotonic_ns() - at_ns < FRESH_S * 1e9 else None

    def open(self, on_state: Callable[[LinkState], None]) -> None:
        self._link.open(on_state)

    def publish(self, outgoing: Outgoing) -> Future[None]:
        began_ns = self._clock.monotonic_ns()
        future = self._link.publish(outgoing)
        if outgoing.qos is Qos.AT_LEAST_ONCE:
            future.add_done_callback(lambda done: self._acknowledged(done, began_ns))
        return future

    def subscribe(self, topics: Sequence[str], qos: Qos, sink: Callable[[Message], None]) -> None:
        self._link.subscribe(topics, qos, sink)

    def unsubscribe(self, topics: Sequence[str]) -> None:
        self._link.unsubscribe(topics)

    def close(self) -> None:
        self._link.close()

    def _acknowledged(self, done: Future[None], began_ns: int) -> None:
        """On the link's own thread; a publish that failed says nothing of the time."""
        if not done.cancelled() and done.exception() is None:
            now_ns = self._clock.monotonic_ns()
            self._latest = now_ns, (now_ns - began_ns) / 1e6
