import random
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.packing_zstd import Zstandard
from agent.wire.errors import Malformed, StoreFailed
from deploy.adapters.packer_zstd import ZstandardPacker

PACKER, PACKING = ZstandardPacker(), Zstandard()
BASE = random.Random(3).randbytes(200_000)
NEW = BASE[:90_000] + b"another head" * 100 + BASE[90_000:]


def apply(folder: Path, base: bytes, patch: bytes, length: int) -> bytes:
    (folder / "base").write_bytes(base)
    (folder / "patch").write_bytes(patch)
    return PACKING.apply(folder / "base", folder / "patch", length)


@given(st.binary(min_size=1, max_size=500), st.integers(1, 200))
def test_what_the_operator_packs_the_device_unpacks(seed: bytes, times: int) -> None:
    content = seed * times
    packed = PACKER.pack(content)
    assert PACKING.unpack(packed, len(content)) == content
    assert packed == PACKER.pack(content)


@pytest.mark.parametrize("stated", [999, 1_001, 50_000_000])
def test_a_frame_of_another_length_is_refused_before_it_is_unpacked(stated: int) -> None:
    with pytest.raises(Malformed, match="1000 are declared"):
        PACKING.unpack(PACKER.pack(bytes(stated)), 1_000)


def test_a_frame_that_states_no_length_is_refused() -> None:
    endless = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1_000))
    with pytest.raises(Malformed, match="1000 are declared"):
        PACKING.unpack(endless, 1_000)


@pytest.mark.parametrize(
    "harm", [lambda p: p[:-5], lambda p: p + b"more", lambda _: b"no frame", lambda _: b""]
)
def test_what_is_no_frame_is_malformed(harm) -> None:
    with pytest.raises(Malformed):
        PACKING.unpack(harm(PACKER.pack(BASE)), len(BASE))


def test_a_patch_makes_the_new_file_of_its_base(tmp_path: Path) -> None:
    patch = PACKER.patch(BASE, NEW)
    assert len(patch) < 2_000
    assert apply(tmp_path, BASE, patch, len(NEW)) == NEW


def test_a_patch_of_another_base_makes_nothing_or_something_else(tmp_path: Path) -> None:
    try:
        made = apply(tmp_path, BASE[::-1], PACKER.patch(BASE, NEW), len(NEW))
    except Malformed:
        return
    assert made != NEW


def test_a_base_that_is_gone_is_the_disks_fault(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="nowhere"):
        PACKING.apply(tmp_path / "nowhere", tmp_path / "patch", 1)
