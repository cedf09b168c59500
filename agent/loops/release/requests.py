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
        self._sliced: bool | None = None
        """Whether chunks stand in slices here: on a site's broker they do not. None: nobody knows yet."""
        self.arrived_s: dict[Digest, float] = {}
        """When each chunk last came, on the clock of the window: the disk's time is not the line's."""
        self.heard_s = 0.0
        """When anything last came."""
        self._loop = asyncio.get_running_loop()
        self.woken = asyncio.Event()

    def topic(self, chunk: Digest) -> str:
        return self._topics.chunk(self._chunks[chunk].published)

    def ask(self, chunks: Sequence[Digest], *, sliced: bool) -> None:
        """Sliced, a chunk comes slice by slice, beginning with the first that has not come; but whole, where
        one came whole after its slices did not.
        """
        self._awaited.update(chunks)
        self._subscribe([self._next(chunk) if sliced else (chunk, None) for chunk in chunks])

    def withdraw(self) -> None:
        """All of them, when the link was cut or nothing more is wanted."""
        self.narrow(())
        self._sliced = None

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
        sliced = self._chunks[chunk].slices and self._sliced is not False
        return chunk, len(self._slices.get(chunk, ())) if sliced else None

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
        expected = message.topic in self._standing
        if expected:
            self._standing.remove(message.topic)
            self._link.unsubscribe([message.topic])
        chunk, number = self._meaning[message.topic]
        if chunk not in self._awaited:
            return
        self.heard_s = self._clock.monotonic_ns() / 1e9
        self._learn(chunk, number, expected=expected)
        if number is None:
            self._complete(chunk, message.payload)
        elif number == len(self._slices.setdefault(chunk, [])):
            self._add(chunk, message.payload)
        self.woken.set()

    def _learn(self, chunk: Digest, number: int | None, *, expected: bool) -> None:
        if number is not None:
            self._sliced = True
        elif expected and self._sliced is None and self._name(chunk, 0) in self._meaning:
            self._sliced = False

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
