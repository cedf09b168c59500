"""How much of a bare invoke() loop's rate is left once frames are captured, prepared, ranked and sent.

    python bench/frame_loop.py [--runtime litert|tflite] [--model FILE ...] [--rounds N] [--rate FPS]

Per model, in interleaved rounds on the same machine, one thread each:
    bare     interpreter.invoke() again and again: nothing goes in, nothing comes out
    worker   the real worker process over its real pipe, from 640 x 480 photographs
    serial   what one writes first: Pillow resize, set, invoke, dequantise, sort, one after the other
share    the worker's rate over the bare one: the median of the rounds, and that of the fastest of each
inside   the part of its time that the worker's loop spends in invoke(): what waiting, ranking and sending
         leave, whatever else the machine does
Read shares, not milliseconds, on a machine that does other things, and `inside` on a busy one.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from PIL import Image, ImageOps

from agent.adapters import child_process
from agent.adapters.runtime_tflite import open_runtime
from agent.assemble.children.worker import WorkerSettings
from agent.config import Camera, CameraKind
from agent.core.inference import contract
from agent.core.inference.tensors import prepare
from agent.core.serving.delegate import RuntimeChoice
from agent.core.tflite import flatmodel
from agent.loops.keeping.keeper import Patience, WorkerKeeper
from agent.ports.children import Observation
from agent.ports.runtime import Model
from agent.wire.ipc import ModelSpec, Predicted, Serving
from agent.wire.topics import sha256

ROOT = Path(__file__).resolve().parents[1]
MODELS = (
    "efficientnet_lite0_224_uint8.tflite",
    "mobilenet_v2_1.0_224_quant.tflite",
    "tf2_mobilenet_v2_1.0_224_ptq.tflite",
)
FOLDERS = (ROOT / "models", ROOT.parent / "shared" / "models")
PHOTOGRAPHS = ROOT / "models" / "photographs"
SIZE = (640, 480)
SPAN_S = 0.4
SETTLE_S = 0.1


COLUMNS = ("bare ms", "worker", "share", "best", "inside", "serial", "share")


@dataclass(frozen=True, slots=True)
class Round:
    """Milliseconds a frame."""

    bare: float
    worker: float
    serial: float
    inside: float
    """Of the worker, a share."""


def main() -> int:
    arguments = _parser().parse_args()
    paths = arguments.model or _models()
    if not paths:
        print("no model at hand: name one with --model", file=sys.stderr)
        return 1
    print(_row("model", COLUMNS))
    with tempfile.TemporaryDirectory() as frames:
        _frames(Path(frames))
        for path in paths:
            rounds = asyncio.run(_measure(_spec(path, arguments.runtime), arguments, Path(frames)))
            print(_line(path.name, rounds), flush=True)
    return 0


def _line(name: str, rounds: Sequence[Round]) -> str:
    bare, worker, serial, inside = (median(getattr(r, kind) for r in rounds) for kind in Round.__slots__)
    share = median(r.bare / r.worker for r in rounds)
    best = min(r.bare for r in rounds) / min(r.worker for r in rounds)
    peer = median(r.bare / r.serial for r in rounds)
    figures = (bare, worker, share, best, inside, serial, peer)
    return _row(name, [f"{figure:.3f}" for figure in figures])


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name:42} " + " ".join(f"{cell:>8}" for cell in cells)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runtime", type=RuntimeChoice, default=RuntimeChoice.AUTO, choices=list(RuntimeChoice)
    )
    parser.add_argument("--model", type=Path, action="append", help="a .tflite file; may be repeated")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rate", type=float, default=0.0, help="of the camera; 0: a frame whenever asked")
    return parser


def _models() -> list[Path]:
    """Those of 224 x 224 that a camera would be given, as far as they are at hand."""
    return [path for folder in FOLDERS for name in MODELS for path in folder.rglob(name)]


def _frames(folder: Path) -> None:
    """The photographs, each cut to the size of a frame."""
    for path in sorted(PHOTOGRAPHS.glob("*.jpg")):
        with Image.open(path) as photograph:
            ImageOps.fit(photograph.convert("RGB"), SIZE).save(folder / f"{path.stem}.png")


async def _measure(spec: ModelSpec, arguments: argparse.Namespace, frames: Path) -> list[Round]:
    model = _load(spec, arguments.runtime)
    width, height = SIZE
    camera = Camera(
        kind=CameraKind.REPLAY,
        folder=str(frames),
        rate_fps=arguments.rate,
        width_px=width,
        height_px=height,
    )
    argv = child_process.command("worker", WorkerSettings(camera=camera))
    keeper = WorkerKeeper(child_process.StartWorker(argv), random.Random(), patience=Patience(frame_s=600.0))  # noqa: S311 - jitter
    counter = _Counter()
    keeper.observe(counter.see)
    task = asyncio.create_task(keeper.run())
    try:
        answer = await keeper.serve(spec)
        assert isinstance(answer, Serving), answer
        assert keeper.pid is not None
        return [await _round(model, spec, counter, keeper.pid) for _ in range(arguments.rounds)]
    finally:
        task.cancel()
        await asyncio.wait([task])


def _load(spec: ModelSpec, runtime: RuntimeChoice) -> Model:
    return open_runtime(runtime).load(Path(spec.model_path).read_bytes(), threads=1)


async def _round(model: Model, spec: ModelSpec, counter: "_Counter", pid: int) -> Round:
    os.kill(pid, signal.SIGCONT)
    worker, inside = await counter.milliseconds()
    # The worker stands still while this process computes.
    os.kill(pid, signal.SIGSTOP)
    tensor = prepare(_frame(), spec.input, model.input)
    model.invoke(tensor)
    bare = _milliseconds(model._interpreter.invoke)  # type: ignore[attr-defined]  # noqa: SLF001 - bare is bare
    serial = _milliseconds(_Serial(model))
    os.kill(pid, signal.SIGCONT)
    return Round(bare, worker, serial, inside)


class _Counter:
    def __init__(self) -> None:
        self._predictions = 0
        self._invoke_ms = 0.0

    def see(self, seen: Observation) -> None:
        if isinstance(seen, Predicted):
            self._predictions += 1
            self._invoke_ms += seen.latency_ms.invoke

    async def milliseconds(self) -> tuple[float, float]:
        """Per prediction, and the share of them inside invoke()."""
        await asyncio.sleep(SETTLE_S)
        began, self._predictions, self._invoke_ms = perf_counter(), 0, 0.0
        await asyncio.sleep(SPAN_S)
        span_ms = (perf_counter() - began) * 1e3
        return span_ms / self._predictions, self._invoke_ms / span_ms


def _milliseconds(step: Callable[[], object]) -> float:
    steps, began = 0, perf_counter()
    while perf_counter() - began < SPAN_S:
        step()
        steps += 1
    return (perf_counter() - began) * 1e3 / steps


class _Serial:
    def __init__(self, model: Model) -> None:
        self._model = model
        self._frame = _frame()

    def __call__(self) -> Sequence[int]:
        info = self._model.input
        height, width = info.shape[1:3]
        pixels = np.array(Image.fromarray(self._frame).resize((width, height)))
        tensor = ((pixels / 127.5) - 1).astype(np.float32) if info.dtype == "float32" else pixels
        found = self._model.invoke(tensor.astype(info.dtype)[None])[0].astype(np.float64)
        if self._model.output.quantization is not None:
            quantization = self._model.output.quantization
            found = (found - quantization.zero_point) * quantization.scale
        return [int(index) for index in np.argsort(found)[::-1][:5]]


def _frame() -> np.ndarray:
    width, height = SIZE
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def _spec(path: Path, runtime: RuntimeChoice) -> ModelSpec:
    content = path.read_bytes()
    image, answer = contract.infer(flatmodel.examine(content))
    return ModelSpec(
        name=path.stem[:64],
        version="0",
        manifest=sha256(path.name.encode()),
        digest=sha256(content),
        model_path=str(path),
        labels_path=None,
        input=image,
        output=answer,
        runtime=runtime,
    )


if __name__ == "__main__":
    sys.exit(main())
