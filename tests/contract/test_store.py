"""What every `Store` does, and what only files do."""

import errno
from pathlib import Path

import pytest

from agent.adapters.store_files import Disk, FileStore
from agent.core.update.lifecycle import Record
from agent.ports.store import Store
from agent.wire.documents import Artifact, Chunk
from agent.wire.errors import DiskFull, Malformed, StoreFailed
from agent.wire.topics import sha256
from tests.fakes.store import MemoryStore

PIECES = tuple(bytes([n + 1]) * (1_000 + n) for n in range(12))
CONTENT = b"".join(PIECES)


def artifact_of(pieces: tuple[bytes, ...]) -> Artifact:
    content = b"".join(pieces)
    chunks = tuple(Chunk(sha256(piece), len(piece)) for piece in pieces)
    return Artifact(digest=sha256(content), length=len(content), chunks=chunks)


ARTIFACT = artifact_of(PIECES)
RECORDS = tuple(Record(plan_serial=n) for n in range(4))


@pytest.fixture(params=["files", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "files":
        return FileStore(tmp_path / "state", 0)
    return MemoryStore(tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path, 0)


def pull(store: Store, *indices: int, artifact: Artifact = ARTIFACT) -> None:
    for index in indices:
        store.put_chunk(artifact, index, PIECES[index])
    store.sync(artifact)


def test_a_new_device_has_an_empty_record(store: Store) -> None:
    assert store.load() == Record()


def test_the_newest_record_is_loaded(store: Store) -> None:
    for record in RECORDS:
        store.save(record)
    assert store.load() == RECORDS[-1]


def test_a_stop_is_clean_only_if_it_was_marked(store: Store) -> None:
    seen = [store.mark_running(), store.mark_running()]
    store.mark_stopped()
    seen.append(store.mark_running())
    assert seen == [True, False, True]


def test_chunks_may_come_in_any_order_and_are_missed_until_they_do(store: Store) -> None:
    assert store.missing(ARTIFACT) == tuple(range(12))
    pull(store, 11, 3, 0)
    assert store.missing(ARTIFACT) == (1, 2, 4, 5, 6, 7, 8, 9, 10)


def test_a_wrong_chunk_is_refused_and_nothing_is_kept(store: Store) -> None:
    with pytest.raises(Malformed):
        store.put_chunk(ARTIFACT, 0, PIECES[1])
    assert store.missing(ARTIFACT) == tuple(range(12))


def test_an_assembled_artifact_stands_under_its_digest(store: Store) -> None:
    pull(store, *range(12))
    assert store.missing(ARTIFACT) == ()
    assert not store.verify(ARTIFACT.digest)
    store.assemble(ARTIFACT)
    store.assemble(ARTIFACT)
    assert store.verify(ARTIFACT.digest)
    assert store.missing(ARTIFACT) == ()
    assert store.path(ARTIFACT.digest).read_bytes() == CONTENT


def test_an_artifact_with_holes_is_not_assembled(store: Store) -> None:
    pull(store, 0, 1)
    with pytest.raises(StoreFailed):
        store.assemble(ARTIFACT)
    assert not store.verify(ARTIFACT.digest)


def test_a_manifest_that_contradicts_itself_leaves_nothing_behind(store: Store) -> None:
    lie = Artifact(digest=sha256(b"other"), length=ARTIFACT.length, chunks=ARTIFACT.chunks)
    pull(store, *range(12), artifact=lie)
    with pytest.raises(Malformed):
        store.assemble(lie)
    assert store.missing(lie) == tuple(range(12))


def test_a_small_file_is_kept_whole_and_twice_is_once(store: Store) -> None:
    assert store.put(b"manifest") == store.put(b"manifest") == sha256(b"manifest")
    assert store.verify(sha256(b"manifest"))
    assert store.path(sha256(b"manifest")).read_bytes() == b"manifest"


def test_what_never_came_does_not_verify(store: Store) -> None:
    assert not store.verify(sha256(b"absent"))


def test_collecting_deletes_files_and_partial_files_that_nobody_refers_to(store: Store) -> None:
    kept, loose = store.put(b"kept"), store.put(b"loose")
    other = artifact_of((b"a" * 100,))
    pull(store, 0, 1)
    store.put_chunk(other, 0, b"a" * 100)
    assert store.collect(frozenset({kept, ARTIFACT.digest})) == len(b"loose") + 100
    assert (store.verify(kept), store.verify(loose)) == (True, False)
    assert store.missing(ARTIFACT) == tuple(range(2, 12))
    assert store.missing(other) == (0,)


def test_more_than_the_disk_has_is_refused_before_it_is_pulled(store: Store) -> None:
    store.require(1)
    with pytest.raises(DiskFull):
        store.require(2**60)


def test_the_floor_counts_against_what_is_free(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="floor of 1152921504606846976"):
        FileStore(tmp_path, 2**60).require(1)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"sha256":"00","record":{}}', b"\xff" * 500])
def test_a_damaged_record_falls_back_to_the_one_before(
    files: FileStore, tmp_path: Path, damage: bytes
) -> None:
    for record in RECORDS[:3]:
        files.save(record)
    (tmp_path / "lifecycle.json").write_bytes(damage)
    assert files.load() == RECORDS[1]
    files.save(RECORDS[3])
    (tmp_path / "lifecycle.json").unlink()
    assert files.load() == RECORDS[1]


def test_one_flipped_bit_of_a_record_is_noticed(files: FileStore, tmp_path: Path) -> None:
    files.save(RECORDS[0])
    files.save(RECORDS[1])
    sealed = (tmp_path / "lifecycle.json").read_bytes()
    (tmp_path / "lifecycle.json").write_bytes(sealed.replace(b'"plan_serial":1', b'"plan_serial":5'))
    assert files.load() == RECORDS[0]


def test_both_records_damaged_is_a_new_device(files: FileStore, tmp_path: Path) -> None:
    files.save(RECORDS[0])
    files.save(RECORDS[1])
    for name in ("lifecycle.json", "lifecycle.previous.json"):
        (tmp_path / name).write_bytes(b"rot")
    assert files.load() == Record()


def test_another_process_resumes_with_the_chunks_on_disk(files: FileStore, tmp_path: Path) -> None:
    pull(files, 2, 5)
    assert FileStore(tmp_path, 0).missing(ARTIFACT) == (0, 1, 3, 4, 6, 7, 8, 9, 10, 11)


def test_a_chunk_that_rotted_on_disk_is_missed(files: FileStore, tmp_path: Path) -> None:
    pull(files, *range(12))
    with (tmp_path / "partial" / ARTIFACT.digest).open("r+b") as file:
        file.seek(1_000 + 1_001 + 5)
        file.write(b"!")
    assert files.missing(ARTIFACT) == (2,)
    with pytest.raises(StoreFailed, match="1 of its 12 chunks"):
        files.assemble(ARTIFACT)


def test_of_a_rotten_file_only_the_rotten_chunks_are_pulled_again(files: FileStore, tmp_path: Path) -> None:
    pull(files, *range(12))
    files.assemble(ARTIFACT)
    whole = tmp_path / "objects" / ARTIFACT.digest
    whole.chmod(0o644)
    whole.write_bytes(CONTENT[:-1] + b"!")
    assert not files.verify(ARTIFACT.digest)
    assert files.missing(ARTIFACT) == (11,)
    pull(files, 11)
    files.assemble(ARTIFACT)
    assert files.verify(ARTIFACT.digest)


def test_a_partial_file_that_is_too_long_is_begun_anew(files: FileStore, tmp_path: Path) -> None:
    (tmp_path / "partial" / ARTIFACT.digest).write_bytes(CONTENT + b"more")
    assert files.missing(ARTIFACT) == tuple(range(12))


def test_a_whole_file_is_read_only(files: FileStore) -> None:
    assert files.path(files.put(b"x")).stat().st_mode & 0o777 == 0o444


class _Refusing(Disk):
    def __init__(self, number: int) -> None:
        self.number = number

    def write(self, path: Path, offset: int, content: bytes) -> None:
        del offset, content
        raise OSError(self.number, "as the test asked", str(path))


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EROFS, StoreFailed)]
)
def test_what_the_disk_refuses_says_the_file_and_the_intent(
    tmp_path: Path, number: int, kind: type[StoreFailed]
) -> None:
    store = FileStore(tmp_path, 0, _Refusing(number))
    message = f"write chunk 0 into .*{ARTIFACT.digest}: as the test asked"
    with pytest.raises(StoreFailed, match=message) as told:
        store.put_chunk(ARTIFACT, 0, PIECES[0])
    assert type(told.value) is kind
