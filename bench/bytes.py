"""What a device pulls to come from one model to another: packed, by the chunks that both share, by patch.

    python bench/bytes.py

The model that Shoal ships is changed as training changes models; other pairs are those of ../shared/models
that are there. `chunks` are the packed chunks that the first model does not hold. Making and applying a patch
runs in a process of its own, whose memory is told above that of its start.
"""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.adapters.packing_zstd import Zstandard
from agent.core.tflite import flatmodel
from agent.core.update import provision
from deploy.adapters.packer_zstd import ZstandardPacker
from deploy.core.release.chunking import pack

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "models" / "efficientnet_lite0" / "efficientnet_lite0_224_uint8.tflite"
SHARED = ROOT.parent / "shared" / "models"
REAL = (
    ("two trainings of MobileNet v2", "mobilenet_v2_1.0_224_quant", "tf2_mobilenet_v2_1.0_224_ptq"),
    ("one model, uint8 to int8", "mobilenet_v2_1.0_224_quant", "derived_mobilenet_v2_224_int8_int8io"),
    ("MobileNet v2, compiled", "mobilenet_v2_1.0_224_quant", "mobilenet_v2_1.0_224_quant_edgetpu"),
)
LARGE_BYTES = 4_096
Weights = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Pair:
    name: str
    base: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class Spent:
    seconds: float
    memory_mb: float


def pairs() -> Iterator[Pair]:
    shipped = SHIPPED.read_bytes()
    yield from (Pair(name, shipped, new) for name, new in changes(shipped))
    for name, base, new in REAL:
        files = [SHARED / f"{stem}.tflite" for stem in (base, new)]
        if all(file.exists() for file in files):
            yield Pair(name, *(file.read_bytes() for file in files))


def changes(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Of the shipped model. Distances are in steps of the quantized weights."""
    rng = np.random.default_rng(1)
    spans = [span for span in flatmodel.buffers(content) if span[1] >= LARGE_BYTES]
    head = max(spans, key=lambda span: span[1])
    small = [span for span in flatmodel.buffers(content) if 32 <= span[1] < LARGE_BYTES * 2 and span != head]
    swapped = _changed(content, [head], rng.permutation)
    yield "another head", swapped
    yield "another head, all biases", _changed(swapped, small, lambda old: rng.integers(0, 256, old.size))
    yield "head tuned: 30 % of it by 1", _changed(content, [head], lambda old: _tuned(rng, old))
    yield "all tuned: 30 % of it by 1", _changed(content, spans, lambda old: _tuned(rng, old))
    yield "all trained on: by about 4", _changed(content, spans, lambda old: old + rng.normal(0, 4, old.size))
    yield "trained anew", _changed(content, spans, rng.permutation)


def _tuned(rng: np.random.Generator, old: Weights) -> Weights:
    steps: Weights = rng.choice([-1, 0, 1], old.size, p=[0.15, 0.7, 0.15])
    return old + steps


def _changed(content: bytes, spans: list[tuple[int, int]], change: Callable[[Weights], Weights]) -> bytes:
    made = np.frombuffer(content, np.uint8).copy()
    for start, length in spans:
        old = made[start : start + length].astype(np.int16)
        made[start : start + length] = np.clip(np.rint(change(old)), 0, 255).astype(np.uint8)
    return made.tobytes()


def measured(act: str, *files: Path) -> Spent:
    """In a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, act, *map(str, files)], capture_output=True, text=True, check=True
    )
    seconds, memory_mb = done.stdout.split()
    return Spent(float(seconds), float(memory_mb))


def act(what: str, base: Path, new: Path, patch: Path) -> None:
    before, began_s = _peak_mb(), perf_counter()
    if what == "make":
        patch.write_bytes(ZstandardPacker().patch(base.read_bytes(), new.read_bytes()))
    else:
        made = Zstandard().apply(base, patch, new.stat().st_size)
        with new.open("rb") as file:
            expected = hashlib.file_digest(file, "sha256").hexdigest()
        if hashlib.sha256(made).hexdigest() != expected:
            raise SystemExit("the patch did not make the file")
    print(perf_counter() - began_s, _peak_mb() - before)


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1_024 for line in status.splitlines() if line.startswith("VmHWM"))


def row(pair: Pair, folder: Path) -> str:
    parcel = pack(pair.new, ZstandardPacker().pack)
    held = {chunk.digest for chunk in pack(pair.base, ZstandardPacker().pack).artifact.chunks}
    chunks = parcel.artifact.chunks
    packed_bytes = provision.published_bytes(chunks)
    lacking_bytes = provision.published_bytes(chunk for chunk in chunks if chunk.digest not in held)
    base, new, patch = (folder / name for name in ("base", "new", "patch"))
    base.write_bytes(pair.base)
    new.write_bytes(pair.new)
    made, applied = (measured(act, base, new, patch) for act in ("make", "apply"))
    figures = (packed_bytes, lacking_bytes, patch.stat().st_size)
    shares = " | ".join(f"{100 * figure / len(pair.new):.0f} %" for figure in figures)
    return (
        f"| {pair.name} | {len(pair.new):,} | {shares} | {made.seconds:.1f} s, {made.memory_mb:.0f} MB "
        f"| {applied.seconds * 1_000:.0f} ms, {applied.memory_mb:.0f} MB |"
    )


def main() -> None:
    print("| from a model to | bytes | packed | chunks | patch | making it | applying it |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for pair in pairs():
            print(row(pair, Path(folder)), flush=True)
    if not SHARED.exists():
        print("\nPairs of other models were left out: there is no ../shared/models.")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        act(sys.argv[1], *map(Path, sys.argv[2:]))
    else:
        main()
