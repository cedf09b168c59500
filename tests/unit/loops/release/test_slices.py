"""After a cut, a long chunk comes slice by slice."""

import asyncio
import random
from pathlib import Path

from agent.wire.documents import SLICE_BYTES
from agent.wire.topics import sha256
from tests.unit.loops.release.fetching import (
    PIECES,
    TOPICS,
    Bench,
    HoldingLink,
    artifact_of,
    run,
    until,
)

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


def test_where_no_slices_stand_one_is_missed_after_a_cut_and_the_rest_is_pulled_whole(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HoldingLink)
    longs = [random.Random(seed).randbytes(SLICE_BYTES * 2) for seed in range(4)]
    artifact = artifact_of(*longs)

    async def tearing() -> None:
        link = bench.link
        assert isinstance(link, HoldingLink)
        for piece in longs:
            bench.publish(piece)
        fetching = asyncio.create_task(bench.fetch(artifact))
        await until(lambda: len(link.held) == 4)
        link.drop()
        await until(lambda: not link.filters)
        link.restore()
        while not fetching.done():
            link.let_through(1)
            await asyncio.sleep(0)
        await fetching

    run(tearing())
    assert bench.store.verify(artifact.digest)
    assert [topic for topic in bench.broker.subscribed if topic.endswith("/0")] == [
        TOPICS.slice(sha256(longs[0]), 0)
    ]
