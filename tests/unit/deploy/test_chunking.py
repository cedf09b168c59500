import random
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.tflite import flatmodel
from agent.wire import codec
from agent.wire.documents import (
    CHUNK_MAX_BYTES,
    ZSTD_PATCH,
    Artifact,
    GoldenCase,
    GoldenSet,
    Manifest,
    Patch,
)
from agent.wire.errors import Malformed
from agent.wire.topics import sha256
from deploy.adapters.packer_zstd import ZstandardPacker
from deploy.core.release.chunking import CHUNKS_MAX, LARGE_TENSOR_BYTES, PACKED_SHARE_MAX, cut, pack
from tests.fakes.operator import manifest

MODELS = Path(__file__).parents[4] / "shared" / "models"
MOBILENET = MODELS / "mobilenet_v2_1.0_224_quant.tflite"
needs_models = pytest.mark.skipif(
    not MOBILENET.exists(), reason=f"needs Coral's MobileNet v2 at {MOBILENET.name} in ../shared/models"
)


def model_of(*lengths: int, seed: int = 0) -> bytes:
    """A flatbuffer with the identifier of TFLite and nothing in it but constant buffers, 16-byte aligned."""
    count = len(lengths)
    content = bytearray(struct.pack("<I4s", 32, b"TFL3"))
    content += struct.pack("<7H", 14, 24, 4, 0, 0, 0, 8) + bytes(10)
    assert len(content) == 32
    content += struct.pack("<iII", 24, 3, 4 + 12) + bytes(12)
    vector = len(content)
    content += struct.pack("<I", count) + bytes(4 * count)
    vtable = len(content)
    content += struct.pack("<3H", 6, 8, 4) + bytes(2)
    rng = random.Random(seed)
    for number, length in enumerate(lengths):
        table = len(content)
        content += struct.pack("<ii", table - vtable, 4)
        content += struct.pack("<I", length)
        struct.pack_into("<I", content, vector + 4 + 4 * number, table - (vector + 4 + 4 * number))
        content += rng.randbytes(length)
        content += bytes(-len(content) % 16)
    struct.pack_into("<I", content, 32 + 8, vector - (32 + 8))
    return bytes(content)


def pieces(content: bytes, artifact: Artifact) -> list[bytes]:
    found, start = [], 0
    for chunk in artifact.chunks:
        found.append(content[start : start + chunk.length])
        start += chunk.length
    assert start == len(content)
    return found


def check(content: bytes) -> Artifact:
    artifact = cut(content)
    found = pieces(content, artifact)
    assert [sha256(piece) for piece in found] == [chunk.digest for chunk in artifact.chunks]
    assert all(0 < chunk.length <= CHUNK_MAX_BYTES for chunk in artifact.chunks)
    assert (artifact.digest, artifact.length) == (sha256(content), len(content))
    return artifact


def shared_bytes(old: bytes, new: bytes) -> int:
    there = {chunk.digest for chunk in cut(old).chunks}
    return sum(chunk.length for chunk in cut(new).chunks if chunk.digest in there)


@given(st.binary(min_size=1, max_size=300), st.integers(1, 900))
def test_chunks_add_up_to_any_content(seed: bytes, times: int) -> None:
    artifact = check(seed * times)
    assert len(artifact.chunks) == -(-artifact.length // CHUNK_MAX_BYTES)


@given(st.lists(st.sampled_from([0, 1, 500, 16_383, 16_384, 65_536, 70_000, 200_000]), max_size=8))
def test_chunks_add_up_to_any_model(lengths: list[int]) -> None:
    check(model_of(*lengths))


@given(st.data())
def test_chunks_add_up_to_a_damaged_model(data: st.DataObject) -> None:
    content = bytearray(model_of(20_000, 30, 20_000))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 120))
        content[at] = data.draw(st.integers(0, 255))
    check(bytes(content[: data.draw(st.integers(1, len(content)))]))


def test_every_large_tensor_begins_and_ends_at_the_edge_of_a_chunk() -> None:
    content = model_of(100, LARGE_TENSOR_BYTES, 3_000, 150_000, 10)
    edges, start = {0}, 0
    for chunk in check(content).chunks:
        start += chunk.length
        edges.add(start)
    large = [span for span in flatmodel.buffers(content) if span[1] >= LARGE_TENSOR_BYTES]
    assert len(large) == 2
    assert all({start, start + length} <= edges for start, length in large)


def test_small_tensors_are_grouped() -> None:
    assert len(check(model_of(*[500] * 40)).chunks) == 1


def test_another_head_and_longer_metadata_leave_the_other_weights_where_they_are() -> None:
    weights = (60_000, 100_000, 80_000)
    old, new = model_of(300, *weights, 20_000), model_of(300, *weights, 24_000, 900, 900)
    assert shared_bytes(old, new) >= sum(weights)


def golden_of(*pictures: bytes, scores: list[tuple[int, float]]) -> bytes:
    cases = tuple(GoldenCase(png=picture, expected=tuple(scores)) for picture in pictures)
    return codec.encode(GoldenSet(cases=cases))


@given(st.lists(st.integers(0, LARGE_TENSOR_BYTES * 6), max_size=5))
def test_chunks_add_up_to_any_golden_set(lengths: list[int]) -> None:
    check(golden_of(*(random.Random(n).randbytes(n) for n in lengths), scores=[(7, 0.25)]))


def test_other_scores_leave_the_pictures_of_a_golden_set_where_they_are() -> None:
    pictures = [random.Random(n).randbytes(130_000 + n) for n in range(8)]
    before, after = ([(3, 0.5)], [(1_000, 0.125), (70_000, 0.1)])
    new = golden_of(*pictures, scores=after)
    assert len(new) - shared_bytes(golden_of(*pictures, scores=before), new) < 1_000


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(Malformed, match="at least one byte"):
        cut(b"")


def test_what_is_no_model_is_cut_at_fixed_distances() -> None:
    lengths = [chunk.length for chunk in check(bytes(150_000)).chunks]
    assert lengths == [65_536, 65_536, 18_928]


def test_a_chunk_is_packed_where_it_pays_and_keeps_the_name_of_its_content() -> None:
    content = bytes(100_000) + random.Random(1).randbytes(100_000)
    parcel = pack(content, ZstandardPacker().pack)
    plain = cut(content).chunks
    assert [(chunk.digest, chunk.length) for chunk in parcel.artifact.chunks] == [
        (chunk.digest, chunk.length) for chunk in plain
    ]
    assert [chunk.packed is not None for chunk in parcel.artifact.chunks] == [True, True, False, False]
    for chunk, piece in parcel.pieces():
        assert (sha256(piece), len(piece)) == (chunk.published, chunk.published_bytes)
        assert chunk.packed is None or len(piece) <= PACKED_SHARE_MAX * chunk.length


@pytest.mark.parametrize("tensor_bytes", [17_000, 40_000, 90_000])
def test_a_manifest_of_two_variants_of_25_mb_with_patches_is_accepted(tensor_bytes: int) -> None:
    """Packed to half, which is more names than real weights need."""
    content = model_of(*[tensor_bytes] * (25_000_000 // (tensor_bytes + 16)))
    parcel = pack(content, lambda piece: piece[: len(piece) // 2])
    assert len(parcel.artifact.chunks) <= CHUNKS_MAX
    patch = Patch(
        base=sha256(b"base"), base_bytes=25_000_000, algorithm=ZSTD_PATCH, artifact=cut(bytes(13_000_000))
    )
    variant = replace(manifest().variants[0], artifact=parcel.artifact, patches=(patch,))
    large = replace(manifest(), variants=(variant, variant))
    assert codec.decode(codec.encode(large), Manifest) == large


@needs_models
@pytest.mark.parametrize("path", sorted(MODELS.glob("*.tflite")), ids=lambda path: path.stem)
def test_chunks_add_up_to_real_models(path: Path) -> None:
    check(path.read_bytes())


@needs_models
def test_recalibrating_a_real_head_moves_less_than_half_of_the_file() -> None:
    old = MOBILENET.read_bytes()
    start, length = max(flatmodel.buffers(old), key=lambda span: span[1])
    new = bytearray(old)
    new[start : start + length] = random.Random(2).randbytes(length)
    for bias, bytes_ in flatmodel.buffers(old):
        if 32 <= bytes_ <= 5_200:
            new[bias : bias + bytes_ : 4] = random.Random(bias).randbytes(-(-bytes_ // 4))
    assert shared_bytes(old, bytes(new)) > 0.55 * len(old)
