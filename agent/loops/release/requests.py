"""The chunks that a download has asked for, and what came of them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from agent.ports.clock import Clock
from agent.ports.link import Link, Message
from agent.wire.documents import Chunk
from agent.wire.topics import CHUNK, Digest, Root

Batch = dict[Digest, bytes]
"""What came, by the digests of its contents, in the order in which it came; not verified yet."""


class Requests:
    """The subscriptions that stand. All but `_hand_over` runs on the event loop."""

    def __init__(self, link: Link, topics: Root, chunks: Mapping[Digest, Chunk], clock: Clock) -> None:
        self._link, self._topics, self._chunks, self._clock = link, topics, chunks, clock
        self._awaited = set(chunks)
        self._meaning: dict[str, tuple[Digest, int | None]] = {}
        """Of each topic that was ever asked for: the chunk, and which of its slices."""
        self._standing: set[str] = set()
        self._arrived: Batch = {}
        self._slices: dict[Digest, list[bytes]] = {}
        """The first ones of chunks that are not together yet."""
        self.arrived_s: dict[Digest, float] = {}
        """When each chunk last came, on the clock of the window: the disk's time is not the line's."""
        self.heard_s = 0.0
        """When anything last came."""
        self._loop = asyncio.get_running_loop()
        self.woken = asyncio.Event()

    def topic(self, chunk: Digest) -> str:
        return self._topics.chunk(self._chunks[chunk].published)

    def ask(self, chunks: Sequence[Digest], *, sliced: bool) -> None:
        """Sliced, a chunk comes slice by slice, beginning with the first that has not come."""
        self._awaited.update(chunks)
        self._subscribe([self._next(chunk) if sliced else (chunk, None) for chunk in chunks])

    def narrow(self, to: Iterable[Digest]) -> None:
        """Withdraw every subscription but those for these chunks."""
        wanted = set(to)
        kept = {topic for topic in self._standing if self._meaning[topic][0] in wanted}
        withdrawn, self._standing = self._standing - kept, kept
        if withdrawn:
            self._link.unsubscribe(sorted(withdrawn))

    def take(self) -> Batch:
        batch, self._arrived = self._arrived, {}
        return batch

    def _next(self, chunk: Digest) -> tuple[Digest, int | None]:
        return chunk, len(self._slices.get(chunk, ())) if self._chunks[chunk].slices else None

    def _subscribe(self, wanted: Iterable[tuple[Digest, int | None]]) -> None:
        named = {self._name(chunk, number): (chunk, number) for chunk, number in wanted}
        self._meaning.update(named)
        self._standing.update(named)
        self._link.subscribe(list(named), CHUNK.qos, self._hand_over)

    def _name(self, chunk: Digest, number: int | None) -> str:
        return (
            self.topic(chunk) if number is None else self._topics.slice(self._chunks[chunk].published, number)
        )

    def _hand_over(self, message: Message) -> None:
        # The link's thread may outlive the loop by a moment when everything ends.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._arrive, message)

    def _arrive(self, message: Message) -> None:
        """A retained message may come more than once, and after it was withdrawn: it counts once."""
        if message.topic in self._standing:
            self._standing.remove(message.topic)
            self._link.unsubscribe([message.topic])
        chunk, number = self._meaning[message.topic]
        if chunk not in self._awaited:
            return
        self.heard_s = self._clock.monotonic_ns() / 1e9
        if number is None:
            self._complete(chunk, message.payload)
        elif number == len(self._slices.setdefault(chunk, [])):
            self._add(chunk, message.payload)
        self.woken.set()

    def _add(self, chunk: Digest, part: bytes) -> None:
        self._slices[chunk].append(part)
        if len(self._slices[chunk]) == self._chunks[chunk].slices:
            self._complete(chunk, b"".join(self._slices[chunk]))
        else:
            self._subscribe([self._next(chunk)])

    def _complete(self, chunk: Digest, payload: bytes) -> None:
        self._awaited.remove(chunk)
        self._slices.pop(chunk, None)
        self._arrived[chunk] = payload
        self.arrived_s[chunk] = self.heard_s
