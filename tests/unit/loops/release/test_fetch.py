import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.adapters.packing_zstd import Zstandard
from agent.core.update.window import FIRST_LIMIT, Patience
from agent.loops.connection import Connection
from agent.loops.release.fetch import fetch
from agent.ports.link import Down, LinkState, Message, Up
from agent.wire.documents import SLICE_BYTES, Artifact, Chunk
from agent.wire.errors import DiskFull, Malformed, StoreFailed, Unavailable
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


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


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


def test_an_artifact_is_pulled_each_chunk_once_and_assembled(bench: Bench) -> None:
    with nothing_left_behind(bench):
        run(bench.fetch(patience=Patience()))
    assert bench.store.objects[ARTIFACT.digest] == b"".join(PIECES)
    assert bench.broker.delivered == {bench.topic(index): 1 for index in range(40)}


def test_never_more_than_the_window_is_subscribed(bench: Bench) -> None:
    run(bench.fetch())
    assert isinstance(bench.link, CountingLink)
    assert bench.link.most == FIRST_LIMIT


def test_progress_begins_with_what_is_on_disk_and_ends_with_all(bench: Bench) -> None:
    for index in range(10):
        bench.store.put_chunk(ARTIFACT, index, PIECES[index])
    run(bench.fetch(patience=Patience()))
    assert bench.progress[0] == (sum(map(len, PIECES[:10])), ARTIFACT.length)
    assert bench.progress[-1] == (ARTIFACT.length, ARTIFACT.length)
    assert bench.progress == sorted(bench.progress)
    assert bench.deliveries == 30


def test_chunks_are_made_safe_several_at_a_time(bench: Bench) -> None:
    run(bench.fetch())
    assert bench.store.syncs <= 40 / FIRST_LIMIT * 2


def test_a_cap_is_kept(bench: Bench) -> None:
    began_s = time.monotonic()
    run(bench.fetch(rate_bytes_s=100_000.0))
    assert bench.store.verify(ARTIFACT.digest)
    assert time.monotonic() - began_s >= (ARTIFACT.length - max(map(len, PIECES))) / 100_000.0


def test_several_artifacts_share_their_chunks(bench: Bench) -> None:
    other = artifact_of(PIECES[3], PIECES[3], PIECES[7])
    run(bench.fetch(ARTIFACT, other, ARTIFACT, patience=Patience()))
    assert bench.store.objects[other.digest] == PIECES[3] * 2 + PIECES[7]
    assert bench.deliveries == 40


def test_what_stands_whole_is_not_asked_for(bench: Bench) -> None:
    bench.store.put(b"".join(PIECES))
    run(bench.fetch())
    assert bench.deliveries == 0
    assert bench.progress[-1] == (ARTIFACT.length, ARTIFACT.length)


def test_a_chunk_that_was_lost_is_asked_for_again(bench: Bench) -> None:
    bench.broker.lose(bench.topic(5), times=2)
    run(bench.fetch())
    assert bench.store.verify(ARTIFACT.digest)
    assert bench.broker.subscribed[bench.topic(5)] == 3


def test_a_chunk_that_never_comes_is_given_up_and_the_others_are_kept(bench: Bench) -> None:
    bench.broker.lose(bench.topic(5))
    with nothing_left_behind(bench), pytest.raises(Unavailable, match=bench.topic(5)):
        run(bench.fetch())
    assert bench.store.missing(ARTIFACT) == (5,)


def test_a_wrong_chunk_is_refused_and_asked_for_again(bench: Bench) -> None:
    bench.broker.corrupt(bench.topic(5), times=2)
    run(bench.fetch())
    assert bench.store.verify(ARTIFACT.digest)
    assert bench.broker.delivered[bench.topic(5)] == 3


def test_a_topic_that_always_keeps_something_else_ends_the_fetch(bench: Bench) -> None:
    bench.broker.corrupt(bench.topic(5))
    with nothing_left_behind(bench), pytest.raises(Unavailable, match=bench.topic(5)):
        run(bench.fetch())
    assert bench.broker.delivered[bench.topic(5)] == 1 + HASTE.refusals_max
    assert bench.store.missing(ARTIFACT) == (5,)


def test_a_manifest_that_contradicts_itself_is_malformed(bench: Bench) -> None:
    lie = Artifact(digest=sha256(b"other"), length=ARTIFACT.length, chunks=ARTIFACT.chunks)
    with pytest.raises(Malformed, match="not the sum of its chunks"):
        run(bench.fetch(lie))


@pytest.mark.parametrize("refusal", [StoreFailed("read-only"), DiskFull("no room")])
def test_a_disk_that_refuses_ends_the_fetch(bench: Bench, refusal: StoreFailed) -> None:
    bench.store.refuses = refusal
    with nothing_left_behind(bench), pytest.raises(type(refusal), match=str(refusal)):
        run(bench.fetch())


@pytest.mark.parametrize("cuts", [1, 4])
def test_a_cut_costs_at_most_the_window_that_was_under_way(tmp_path: Path, cuts: int) -> None:
    bench = Bench(tmp_path, HoldingLink)
    link = bench.link
    assert isinstance(link, HoldingLink)
    lost = 0

    async def cutting() -> None:
        nonlocal lost
        fetching = asyncio.create_task(bench.fetch(patience=Patience()))
        for _ in range(cuts):
            await until(lambda: link.held)
            link.let_through(2)
            await until(lambda: link.held)
            lost += len(link.held)
            link.drop()
            await until(lambda: not link.filters)
            link.restore()
        while not fetching.done():
            link.let_through(1)
            await asyncio.sleep(0)
        await fetching

    run(cutting())
    assert bench.store.verify(ARTIFACT.digest)
    assert lost <= cuts * FIRST_LIMIT
    assert link.sent <= 40 + lost


def test_a_link_that_is_back_before_the_fetch_hears_of_it_does_no_harm(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HoldingLink)
    link = bench.link
    assert isinstance(link, HoldingLink)

    async def flapping() -> None:
        fetching = asyncio.create_task(bench.fetch(patience=Patience()))
        while not fetching.done():
            if link.sent % 7 == 3:
                link.drop()
                link.restore()
            link.let_through(1)
            await asyncio.sleep(0)
        await fetching

    run(flapping())
    assert bench.store.verify(ARTIFACT.digest)


def test_after_a_cut_the_window_is_narrower(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HoldingLink)
    link = bench.link
    assert isinstance(link, HoldingLink)

    async def cutting() -> None:
        fetching = asyncio.create_task(bench.fetch(patience=Patience()))
        await until(lambda: len(link.held) == FIRST_LIMIT)
        link.drop()
        await until(lambda: not link.filters)
        link.restore()
        await until(lambda: link.filters)
        assert len(link.filters) == 1
        fetching.cancel()
        await asyncio.wait([fetching])

    run(cutting())


LONG = random.Random(4).randbytes(SLICE_BYTES * 2 + 500)
LONG_ARTIFACT = artifact_of(*PIECES[:3], LONG)


async def torn(bench: Bench, *, spoilt: bool = False) -> list[str]:
    """Fetch after a cut, with another cut between the second slice of the long chunk and the third; the
    topics that were asked for of it after the first cut.
    """
    link, chunk = bench.link, LONG_ARTIFACT.chunks[3]
    assert isinstance(link, HoldingLink)
    bench.publish(LONG)
    for number in range(chunk.slices):
        part = LONG[number * SLICE_BYTES : (number + 1) * SLICE_BYTES]
        payload = bytes(part[:-1]) + b"!" if spoilt else part
        bench.broker.publish(TOPICS.slice(chunk.digest, number), payload, retain=True)
    fetching = asyncio.create_task(bench.fetch(LONG_ARTIFACT))
    await until(lambda: len(link.held) == 4)
    link.drop()
    await until(lambda: not link.filters)
    before = dict(bench.broker.subscribed)
    link.restore()
    third = TOPICS.slice(chunk.digest, 2)
    cut_again = False
    while not fetching.done():
        if third in bench.broker.subscribed and not cut_again:
            cut_again = True
            link.drop()
            await until(lambda: not link.filters)
            link.restore()
        link.let_through(1)
        await asyncio.sleep(0)
    await fetching
    asked = bench.broker.subscribed
    return [t for t in asked for _ in range(asked[t] - before.get(t, 0)) if chunk.digest in t]


def test_after_a_cut_a_long_chunk_comes_in_slices_and_a_cut_among_them_costs_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HoldingLink)
    asked: list[str] = []

    async def tearing() -> None:
        asked.extend(await torn(bench))

    run(tearing())
    assert bench.store.verify(LONG_ARTIFACT.digest)
    slices = [TOPICS.slice(sha256(LONG), number) for number in range(3)]
    assert sorted(asked) == sorted([*slices, slices[2]])


def test_slices_that_are_not_the_chunk_are_refused_and_the_whole_is_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HoldingLink)
    asked: list[str] = []

    async def tearing() -> None:
        asked.extend(await torn(bench, spoilt=True))

    run(tearing())
    assert bench.store.verify(LONG_ARTIFACT.digest)
    assert TOPICS.chunk(sha256(LONG)) in asked


def test_while_the_link_is_down_nothing_is_given_up(bench: Bench) -> None:
    async def waiting() -> None:
        connection = Connection(bench.link)
        connection.open()
        bench.link.drop()
        fetching = asyncio.create_task(
            fetch(
                bench.link, connection, TOPICS, bench.store, (ARTIFACT,), RunningClock(), lambda *_: None,
                packing=Zstandard(), patience=HASTE,
            )
        )  # fmt: skip
        silence_s = HASTE.silences_max * HASTE.timeout_max_s * 2
        await asyncio.wait([fetching], timeout=silence_s)
        assert not fetching.done()
        bench.link.restore()
        await fetching
        await connection.close()

    run(waiting())
    assert bench.store.verify(ARTIFACT.digest)


def test_a_cancelled_fetch_withdraws_what_it_asked_for_and_keeps_what_came(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HoldingLink)
    link = bench.link
    assert isinstance(link, HoldingLink)

    async def cancelling() -> None:
        fetching = asyncio.create_task(bench.fetch())
        await until(lambda: link.held)
        link.let_through(3)
        await until(lambda: len(bench.progress) > 1)
        fetching.cancel()
        await asyncio.wait([fetching])
        assert fetching.cancelled()

    with nothing_left_behind(bench):
        run(cancelling())
    assert len(bench.store.missing(ARTIFACT)) <= 37


def test_the_connection_tells_its_state_on_the_loop(bench: Bench) -> None:
    seen: list[LinkState] = []

    async def watching() -> None:
        connection = Connection(bench.link)
        unwatch = connection.watch(seen.append)
        assert not connection.is_up
        connection.open()
        await connection.wait_up()
        bench.link.drop("pulled")
        await until(lambda: not connection.is_up)
        unwatch()
        bench.link.restore()
        await connection.wait_up()
        await connection.close()
        assert not connection.is_up

    run(watching())
    assert seen == [Up(1), Down("pulled")]
