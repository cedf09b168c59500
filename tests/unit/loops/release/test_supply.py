import asyncio
import random
import time
from pathlib import Path

import pytest

from agent.adapters.packing_zstd import Zstandard
from agent.adapters.store_files import FileStore
from agent.core.update.provision import Needed
from agent.core.update.window import Patience
from agent.loops.connection import Connection
from agent.loops.release.supply import Supply, Way
from agent.ports.store import Store
from agent.wire.documents import ZSTD_PATCH, Artifact, Patch
from agent.wire.errors import DiskFull, Malformed
from agent.wire.topics import Root, sha256
from deploy.adapters.packer_zstd import ZstandardPacker
from deploy.core.release.chunking import Parcel, pack
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink
from tests.fakes.store import MemoryStore

TOPICS = Root("shoal/test")
PACKER = ZstandardPacker()
RNG = random.Random(7)
SHARED = RNG.randbytes(65_536 * 3)
OLD = SHARED + RNG.randbytes(100_000)
EDITED = OLD[:65_536] + bytes(3_000) + OLD[68_536:]
OTHER_HEAD = SHARED + bytes(range(100)) * 900


class RunningClock(FakeClock):
    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


def patch_of(base: bytes, content: bytes, made: bytes | None = None) -> tuple[Patch, Parcel]:
    parcel = pack(PACKER.patch(base, content if made is None else made), PACKER.pack)
    patch = Patch(base=sha256(base), base_bytes=len(base), algorithm=ZSTD_PATCH, artifact=parcel.artifact)
    return patch, parcel


class Bench:
    """A device that has OLD, and a broker."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.broker = MemoryBroker()
        self.notes: list[str] = []
        self.held = pack(OLD, PACKER.pack).artifact
        store.put(OLD)

    def publish(self, content: bytes) -> Artifact:
        return self.ship(pack(content, PACKER.pack))

    def ship(self, parcel: Parcel) -> Artifact:
        for chunk, piece in parcel.pieces():
            self.broker.publish(TOPICS.chunk(chunk.published), piece, retain=True)
        return parcel.artifact

    def bring(self, *needs: Needed) -> Way:
        async def bounded() -> Way:
            link = MemoryLink(self.broker)
            connection = Connection(link)
            connection.open()
            supply = Supply(
                link,
                connection,
                TOPICS,
                self.store,
                RunningClock(),
                Zstandard(),
                lambda name, _: self.notes.append(name),
                lambda *_: None,
                Patience(refusal_delay_s=0.001),
            )
            try:
                async with asyncio.timeout(20.0):
                    return await supply.bring(needs, [self.held])
            finally:
                await connection.close()

        return asyncio.run(bounded())

    def stands(self, content: bytes) -> bool:
        return self.store.verify(sha256(content)) and self.store.path(sha256(content)).read_bytes() == content

    @property
    def pulled(self) -> set[str]:
        return {topic.rsplit("/", 1)[1] for topic in self.broker.delivered}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(MemoryStore(tmp_path))


def test_chunks_of_an_older_file_are_taken_from_there(bench: Bench) -> None:
    new = bench.publish(OTHER_HEAD)
    way = bench.bring(Needed(new))
    assert bench.stands(OTHER_HEAD)
    assert bench.pulled == {chunk.published for chunk in new.chunks[3:]}
    assert way.copied_bytes == len(SHARED)
    assert way.line_bytes == sum(chunk.published_bytes for chunk in new.chunks[3:]) < 2_000


def test_what_has_rotted_in_an_older_file_is_pulled(bench: Bench) -> None:
    assert isinstance(bench.store, MemoryStore)
    new = bench.publish(OTHER_HEAD)
    bench.store.objects[bench.held.digest] = b"!" + OLD[1:]
    bench.bring(Needed(new))
    assert bench.stands(OTHER_HEAD)
    assert new.chunks[0].published in bench.pulled
    assert new.chunks[1].published not in bench.pulled


def test_a_patch_is_pulled_where_it_is_shorter_and_nothing_else(bench: Bench) -> None:
    patch, parcel = patch_of(OLD, EDITED)
    bench.ship(parcel)
    way = bench.bring(Needed(pack(EDITED, PACKER.pack).artifact, (patch,)))
    assert bench.stands(EDITED)
    assert bench.pulled == {chunk.published for chunk in patch.artifact.chunks}
    assert way.line_bytes == patch.artifact.length < 1_000
    assert bench.notes == []


def test_a_patch_that_was_pulled_before_the_power_went_is_not_pulled_again(bench: Bench) -> None:
    patch, parcel = patch_of(OLD, EDITED)
    bench.store.put(parcel.content)
    bench.bring(Needed(pack(EDITED, PACKER.pack).artifact, (patch,)))
    assert bench.stands(EDITED)
    assert bench.pulled == set()


def test_a_patch_that_makes_something_else_is_forgotten_and_the_chunks_are_pulled(bench: Bench) -> None:
    patch, parcel = patch_of(OLD, EDITED, made=EDITED[:-1] + b"!")
    bench.ship(parcel)
    way = bench.bring(Needed(bench.publish(EDITED), (patch,)))
    assert bench.stands(EDITED)
    assert bench.notes == ["update.patch-failed"]
    assert way.patched == ()


def test_a_patch_that_the_broker_has_not_kept_is_forgotten(bench: Bench) -> None:
    patch, parcel = patch_of(OLD, EDITED)
    for chunk, _ in parcel.pieces():
        bench.broker.publish(TOPICS.chunk(chunk.published), b"junk", retain=True)
    bench.bring(Needed(bench.publish(EDITED), (patch,)))
    assert bench.stands(EDITED)
    assert bench.notes == ["update.patch-failed"]


def test_a_patch_of_a_file_that_is_not_there_or_has_rotted_is_not_pulled(bench: Bench) -> None:
    assert isinstance(bench.store, MemoryStore)
    elsewhere, _ = patch_of(b"what another device has", EDITED)
    here, _ = patch_of(OLD, EDITED)
    bench.store.objects[bench.held.digest] = OLD[:-1] + b"!"
    bench.bring(Needed(bench.publish(EDITED), (elsewhere, here)))
    assert bench.stands(EDITED)
    assert not bench.pulled & {chunk.published for p in (here, elsewhere) for chunk in p.artifact.chunks}


def test_room_is_asked_for_before_anything_is_pulled(bench: Bench) -> None:
    assert isinstance(bench.store, MemoryStore)
    bench.store.free_bytes = len(OTHER_HEAD) - 1
    with pytest.raises(DiskFull):
        bench.bring(Needed(bench.publish(OTHER_HEAD)))
    assert bench.pulled == set()


def test_a_chunk_that_is_packed_from_something_else_is_a_contradiction(bench: Bench) -> None:
    """The operator signed it so: no other chunk will come under this name."""
    honest = pack(OTHER_HEAD, PACKER.pack)
    lied = honest.artifact.chunks[-1]
    assert lied.packed is not None
    chunks = (*honest.artifact.chunks[:-1], type(lied)(sha256(b"other"), lied.length, lied.packed))
    bench.ship(honest)
    lie = Artifact(digest=honest.artifact.digest, length=honest.artifact.length, chunks=chunks)
    with pytest.raises(Malformed):
        bench.bring(Needed(lie))


def test_on_a_real_disk_a_patch_and_copied_chunks_make_the_same_files(tmp_path: Path) -> None:
    bench = Bench(FileStore(tmp_path, 0))
    patch, parcel = patch_of(OLD, EDITED)
    bench.ship(parcel)
    way = bench.bring(Needed(bench.publish(EDITED), (patch,)), Needed(bench.publish(OTHER_HEAD)))
    assert bench.stands(EDITED)
    assert bench.stands(OTHER_HEAD)
    assert len(way.patched) == 1
    assert way.copied_bytes == len(SHARED)
    kept = frozenset({sha256(EDITED), sha256(OTHER_HEAD)})
    assert bench.store.collect(kept) >= len(OLD) + patch.artifact.length
