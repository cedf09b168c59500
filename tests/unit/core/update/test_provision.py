from msgspec.structs import replace

from agent.core.update import provision
from agent.core.update.provision import Needed
from agent.wire.documents import ZSTD_PATCH, Artifact, Chunk, Delegate, Packed, Patch, Variant
from agent.wire.topics import sha256
from tests.fakes.operator import manifest


def chunk(name: str, length: int = 1_000, packed: int | None = None) -> Chunk:
    digest = sha256(name.encode())
    return Chunk(digest, length, None if packed is None else Packed(sha256(digest.encode()), packed))


def file(name: str, *chunks: Chunk) -> Artifact:
    return Artifact(digest=sha256(name.encode()), length=sum(c.length for c in chunks), chunks=chunks)


def patch(base: Artifact, length: int, **changes) -> Patch:
    made = Patch(
        base=base.digest,
        base_bytes=base.length,
        algorithm=ZSTD_PATCH,
        artifact=file(f"patch {length}", chunk(f"patch {length}", length)),
    )
    return replace(made, **changes)


OLD = file("old", chunk("a"), chunk("b"))
NEW = file("new", chunk("a"), chunk("c", packed=700), chunk("d"), chunk("d"))
SMALL = patch(OLD, 300)


def release(model: Artifact, *patches: Patch):
    variant = Variant(artifact=model, file="m.tflite", delegate=Delegate.CPU, patches=patches)
    return replace(
        manifest("1"),
        variants=(variant,),
        labels=file("labels", chunk("labels", 50)),
        golden=replace(manifest("1").golden, artifact=file("golden", chunk("golden", 20))),
    )


def cost(of, *held) -> int:
    files = [file for manifest in held for file in provision.artifacts(manifest)]
    return provision.cost(of, of.variants, provision.holdings(files))


def test_a_device_that_has_nothing_pulls_each_content_once_and_packed() -> None:
    assert cost(release(NEW, SMALL)) == 1_000 + 700 + 1_000 + 50 + 20


def test_chunks_files_and_patches_of_what_is_held_are_counted() -> None:
    assert cost(release(NEW), release(OLD)) == 700 + 1_000
    assert cost(release(NEW, SMALL), release(OLD)) == 300
    assert cost(release(NEW), release(NEW)) == 0


def test_a_patch_counts_only_where_it_is_shorter_known_and_small_enough_for_memory() -> None:
    whole = {OLD.digest}
    lacking = NEW.chunks[1:]
    cases = {
        SMALL: SMALL,
        patch(OLD, 1_700): None,
        patch(OLD, 300, algorithm="a newer one"): None,
        patch(OLD, 300, base_bytes=provision.PATCH_MEMORY_MAX_BYTES): None,
        patch(NEW, 300): None,
    }
    for offered, chosen in cases.items():
        assert provision.patch_for(Needed(NEW, (offered,)), lacking, whole, {}) == chosen


def test_of_two_patches_the_one_with_less_left_to_pull_is_taken() -> None:
    begun = patch(OLD, 900)
    need = Needed(NEW, (SMALL, begun))
    assert provision.patch_for(need, NEW.chunks[1:], {OLD.digest}, {begun.artifact.digest: 10}) == begun
    assert provision.patch_for(need, NEW.chunks[1:], {OLD.digest}, {}) == SMALL


def test_a_chunk_is_found_where_it_stands_in_an_older_file() -> None:
    place = provision.places([OLD, NEW])[sha256(b"b")]
    assert (place.file, place.start, place.length) == (OLD.digest, 1_000, 1_000)
