"""A broker in memory, a device that fetches from it, and links that hold back, count and break."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.adapters.packing_zstd import Zstandard
from agent.core.update.window import Patience
from agent.loops.connection import Connection
from agent.loops.release.fetch import fetch
from agent.ports.link import Message
from agent.wire.documents import Artifact, Chunk
from agent.wire.topics import Root, sha256
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink
from tests.fakes.store import MemoryStore

TOPICS = Root("shoal/test")
DEADLINE_S = 20.0
HASTE = Patience(
    first_timeout_s=0.02, timeout_min_s=0.02, timeout_max_s=0.05, silences_max=3, refusal_delay_s=0.001
)


class RunningClock(FakeClock):
    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


def artifact_of(*pieces: bytes) -> Artifact:
    content = b"".join(pieces)
    chunks = tuple(Chunk(sha256(piece), len(piece)) for piece in pieces)
    return Artifact(digest=sha256(content), length=len(content), chunks=chunks)


def pieces_of(count: int, seed: int = 1) -> tuple[bytes, ...]:
    rng = random.Random(seed)
    return tuple(rng.randbytes(500 + rng.randrange(500)) for _ in range(count))


PIECES = pieces_of(40)
ARTIFACT = artifact_of(*PIECES)


class CountingLink(MemoryLink):
    """Remembers how many subscriptions stood at once."""

    most = 0

    def subscribe(self, topics, qos, sink) -> None:
        super().subscribe(topics, qos, sink)
        self.most = max(self.most, len(self.filters))


class HoldingLink(CountingLink):
    """What arrives waits until the test lets it through, as it does on a slow line."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.held: list[Callable[[], None]] = []
        self.sent = 0

    def receive(self, message: Message) -> None:
        self.sent += 1
        self.held.append(lambda: super(HoldingLink, self).receive(message))

    def let_through(self, count: int) -> None:
        due, self.held = self.held[:count], self.held[count:]
        for deliver in due:
            deliver()

    def drop(self, reason: str = "the connection was lost") -> None:
        self.held.clear()
        super().drop(reason)


class Bench:
    """A broker that keeps an artifact, and a device that wants it."""

    def __init__(self, folder: Path, link: type[MemoryLink] = CountingLink) -> None:
        self.broker = MemoryBroker()
        self.link = link(self.broker)
        self.store = MemoryStore(folder)
        self.progress: list[tuple[int, int]] = []
        for piece in PIECES:
            self.publish(piece)

    def publish(self, piece: bytes) -> None:
        self.broker.publish(TOPICS.chunk(sha256(piece)), piece, retain=True)

    def topic(self, index: int) -> str:
        return TOPICS.chunk(ARTIFACT.chunks[index].digest)

    async def fetch(
        self, *artifacts: Artifact, patience: Patience = HASTE, rate_bytes_s: float = 0.0
    ) -> None:
        connection = Connection(self.link)
        connection.open()
        try:
            await fetch(
                self.link,
                connection,
                TOPICS,
                self.store,
                artifacts or (ARTIFACT,),
                RunningClock(),
                lambda done, total: self.progress.append((done, total)),
                packing=Zstandard(),
                rate_bytes_s=rate_bytes_s,
                patience=patience,
            )
        finally:
            await connection.close()

    @property
    def deliveries(self) -> int:
        return sum(self.broker.delivered.values())


def run(work: Coroutine[object, object, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await work

    asyncio.run(bounded())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - the condition is another's, there is no event to wait for
            await asyncio.sleep(0.001)


@contextmanager
def nothing_left_behind(bench: Bench) -> Iterator[None]:
    yield
    assert bench.link.filters == ()
