"""An MQTT broker in memory, and links to it.

Delivery is synchronous, on the thread of whoever publishes, subscribes or restores (of the first of
them, where several do so at once): when the call has returned, the sinks have been called. What a sink
publishes is delivered after the message at hand, so order is kept. The real link calls sinks on a
thread of its own; a sink must tolerate both. A sink that raises fails the test that caused it.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import RLock

from agent.ports.link import Down, LinkState, Message, Outgoing, Up
from agent.wire.errors import LinkDown
from agent.wire.topics import Qos

Sink = Callable[[Message], None]


def matches(topic_filter: str, topic: str) -> bool:
    """Whether the filter of a subscription (with `+` and `#`) takes the topic."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(
        want in {"+", level} for want, level in zip(wanted, levels, strict=True)
    )


class MemoryBroker:
    """Retained messages, wildcards and wills; and a few ways in which a broker can misbehave."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.published: list[Outgoing] = []
        """Everything that was handed to it, wills too, in order."""
        self.subscribed: Counter[str] = Counter()
        """How often each filter was asked for."""
        self.delivered: Counter[str] = Counter()
        """How many messages on each topic were handed to links."""
        self.queue_max: int | None = None
        """Of what one subscription asks for, the first so many are delivered, and the rest are lost."""
        self.links: list[MemoryLink] = []
        self._faults: dict[str, _Fault] = {}
        self._forgetful: list[str] = []
        self._queue: deque[Callable[[], None]] = deque()
        self._draining = False
        self._lock = RLock()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """As some client elsewhere; an empty retained payload deletes."""
        self.accept(Outgoing(topic, payload, Qos.AT_LEAST_ONCE, retain))

    def lose(self, topic_filter: str, times: int | None = None) -> None:
        """Deliver nothing on these topics, that many times or until healed."""
        self._faults[topic_filter] = _Fault(lambda _: None, times)

    def corrupt(self, topic_filter: str, times: int | None = None) -> None:
        """Deliver other bytes of the same length on these topics."""
        self._faults[topic_filter] = _Fault(lambda payload: bytes(byte ^ 0xFF for byte in payload), times)

    def forget(self, topic_filter: str) -> None:
        """Acknowledge retained messages on these topics, but keep none."""
        self._forgetful.append(topic_filter)

    def heal(self) -> None:
        self._faults.clear()
        self._forgetful.clear()

    def accept(self, outgoing: Outgoing) -> None:
        self.published.append(outgoing)
        if outgoing.retain and not outgoing.payload:
            self.retained.pop(outgoing.topic, None)
        elif outgoing.retain and not any(matches(f, outgoing.topic) for f in self._forgetful):
            self.retained[outgoing.topic] = outgoing.payload
        for link in tuple(self.links):
            if any(matches(f, outgoing.topic) for f in link.filters):
                self._deliver(link, Message(outgoing.topic, outgoing.payload))
        self._drain()

    def send_retained(self, link: "MemoryLink", filters: Sequence[str]) -> None:
        self.subscribed.update(filters)
        asked = [
            Message(topic, payload, retained=True)
            for topic_filter in filters
            for topic, payload in tuple(self.retained.items())
            if matches(topic_filter, topic)
        ]
        for message in asked[: self.queue_max]:
            self._deliver(link, message)
        self._drain()

    def _deliver(self, link: "MemoryLink", message: Message) -> None:
        arriving = self._spoil(message)
        if arriving is not None:
            self._queue.append(lambda: link.receive(arriving))

    def _spoil(self, message: Message) -> Message | None:
        for topic_filter, fault in self._faults.items():
            if matches(topic_filter, message.topic) and fault.strikes():
                payload = fault.change(message.payload)
                return None if payload is None else Message(message.topic, payload, message.retained)
        return message

    def _drain(self) -> None:
        with self._lock:
            if self._draining:
                return
            self._draining = True
        try:
            while self._queue:
                self._queue.popleft()()
        finally:
            self._draining = False


class _Fault:
    def __init__(self, change: Callable[[bytes], bytes | None], times: int | None) -> None:
        self.change = change
        self._left = times

    def strikes(self) -> bool:
        if self._left is None:
            return True
        self._left -= 1
        return self._left >= 0


class MemoryLink:
    """A `Link` to a `MemoryBroker`; the test decides when it is up."""

    def __init__(self, broker: MemoryBroker, *, will: Outgoing | None = None) -> None:
        self.states: list[LinkState] = []
        self.received: Counter[str] = Counter()
        """How many messages arrived, by topic."""
        self.up = False
        self.acknowledges = True
        """False: publishes stay unanswered until the link drops."""
        self._broker = broker
        self._will = will
        self._sinks: dict[str, Sink] = {}
        self._unanswered: list[Future[None]] = []
        self._on_state: Callable[[LinkState], None] | None = None

    @property
    def filters(self) -> tuple[str, ...]:
        return tuple(self._sinks)

    def open(self, on_state: Callable[[LinkState], None]) -> None:
        self._on_state = on_state
        self.restore()

    def publish(self, outgoing: Outgoing) -> Future[None]:
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        if not self.up:
            future.set_exception(LinkDown(f"{outgoing.topic} was not published: there is no connection"))
            return future
        self._broker.accept(outgoing)
        if self.acknowledges:
            future.set_result(None)
        else:
            self._unanswered.append(future)
        return future

    def subscribe(self, topics: Sequence[str], qos: Qos, sink: Sink) -> None:
        del qos
        self._sinks |= dict.fromkeys(topics, sink)
        if self.up:
            self._broker.send_retained(self, topics)

    def unsubscribe(self, topics: Sequence[str]) -> None:
        for topic in topics:
            self._sinks.pop(topic, None)

    def close(self) -> None:
        if self.up:
            self._leave("the link was closed")
        self._on_state = None

    def drop(self, reason: str = "the connection was lost") -> None:
        """Die abruptly: the broker publishes the will."""
        if not self.up:
            return
        self._leave(reason)
        if self._will is not None:
            self._broker.accept(self._will)
        self._tell(Down(reason))

    def restore(self, attempts: int = 1) -> None:
        """Come up, and make every subscription anew."""
        if self.up or self._on_state is None:
            return
        self.up = True
        self._broker.links.append(self)
        self._tell(Up(attempts))
        self._broker.send_retained(self, self.filters)

    def receive(self, message: Message) -> None:
        sinks = [sink for f, sink in self._sinks.items() if matches(f, message.topic)]
        if not self.up or not sinks:
            return
        self.received[message.topic] += 1
        self._broker.delivered[message.topic] += 1
        for sink in sinks:
            sink(message)

    def _leave(self, reason: str) -> None:
        self.up = False
        self._broker.links.remove(self)
        unanswered, self._unanswered = self._unanswered, []
        for future in unanswered:
            future.set_exception(LinkDown(f"not acknowledged: {reason}"))

    def _tell(self, state: LinkState) -> None:
        self.states.append(state)
        if self._on_state is not None:
            self._on_state(state)
