import asyncio
import time
from pathlib import Path

import pytest

from agent.adapters.packing_zstd import Zstandard
from agent.core.update.window import FIRST_LIMIT, Patience
from agent.loops.connection import Connection
from agent.loops.release.fetch import fetch
from agent.ports.link import Down, LinkState, Up
from agent.wire.documents import Artifact
from agent.wire.errors import DiskFull, Malformed, StoreFailed, Unavailable
from agent.wire.topics import sha256
from tests.unit.loops.release.fetching import (
    ARTIFACT,
    HASTE,
    PIECES,
    TOPICS,
    Bench,
    CountingLink,
    HoldingLink,
    RunningClock,
    artifact_of,
    nothing_left_behind,
    run,
    until,
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


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
