"""How old a frame is when its model has answered, where the camera is much faster than the model.

    python bench/freshness.py [--model FILE] [--rate FPS] [--seconds S]

The real frame loop on synthetic frames of 640 x 480, with a model that
    throttled   takes 0.2 s: five frames a second are all it manages
    paced       is as fast as ever, but held down to five frames a second, as a hot SoC is
    slow feed   as throttled, and a camera of the model's own speed
A frame is on average half an interval old when it is taken up, at best.
Read the medians on a machine that does other things.
    fps      predictions a second
    invoke   ms, median
    age      ms from exposure to answer, median
    bound    ms: 1.2 intervals of the camera and the invoke
    counted  predictions and dropped frames over the frames given; 1 but for one that is under way
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from threading import Thread

from agent.adapters.cameras.pattern import PatternCamera
from agent.adapters.clock_system import SystemClock
from agent.adapters.runtime_tflite import open_runtime
from agent.core.inference import contract
from agent.core.serving.delegate import RuntimeChoice
from agent.core.tflite import flatmodel
from agent.loops.child.capture import Taking
from agent.loops.child.worker import Worker
from agent.ports.runtime import Model, Runtime, Tensor
from agent.wire.ipc import EdgeTpu, FromWorker, ModelSpec, Pace, Predicted, Serve, Stop, ToWorker
from agent.wire.topics import sha256

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "models" / "efficientnet_lite0" / "efficientnet_lite0_224_uint8.tflite"
SETTLE_S = 1.0


class Pipe:
    """To this very process."""

    def __init__(self) -> None:
        self.orders: SimpleQueue[ToWorker] = SimpleQueue()
        self.said: list[FromWorker] = []

    def send(self, message: FromWorker) -> None:
        self.said.append(message)

    def receive(self) -> ToWorker:
        return self.orders.get()


@dataclass
class Throttled:
    """A model that takes longer."""

    model: Model
    by_s: float

    def __getattr__(self, name: str) -> object:
        return getattr(self.model, name)

    def invoke(self, tensor: Tensor) -> Tensor:
        time.sleep(self.by_s)
        return self.model.invoke(tensor)


@dataclass(frozen=True)
class Case:
    name: str
    rate_fps: float
    by_s: float = 0.0
    pace: Pace = field(default_factory=Pace)


def main() -> int:
    arguments = _parser().parse_args()
    if not arguments.model.exists():
        print("no model at hand: name one with --model", file=sys.stderr)
        return 1
    cases = (
        Case("throttled", arguments.rate, by_s=0.2),
        Case("paced", arguments.rate, pace=Pace(fps_max=5.0)),
        Case("slow feed", 5.0, by_s=0.2),
    )
    print(f"{'model':<12}{'fps':>7}{'invoke':>9}{'age':>9}{'bound':>9}{'counted':>9}")
    for case in cases:
        _line(case, arguments)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    return parser


def _line(case: Case, arguments: argparse.Namespace) -> None:
    seen = _seen(case, arguments.model, arguments.seconds)
    first, last = seen[0], seen[-1]
    span_s = (last.captured_at - first.captured_at).total_seconds()
    invoke_ms, age_ms = median(s.latency_ms.invoke for s in seen), median(s.latency_ms.age for s in seen)
    bound_ms = 1.2 * 1000 / case.rate_fps + invoke_ms
    given = last.frames - first.frames
    counted = (len(seen) - 1 + last.frames_dropped - first.frames_dropped) / given
    figures = f"{invoke_ms:>9.1f}{age_ms:>9.1f}{bound_ms:>9.1f}{counted:>9.3f}"
    print(f"{case.name:<12}{(len(seen) - 1) / span_s:>7.2f}{figures}")


def _seen(case: Case, path: Path, seconds: float) -> Sequence[Predicted]:
    pipe, clock = Pipe(), SystemClock()
    camera = PatternCamera(480, 640, case.rate_fps, clock)
    worker = Worker(
        camera,
        pipe,
        clock,
        lambda name: Slower(open_runtime(RuntimeChoice(name)), case.by_s),
        Taking(lambda _: 0.1),
        lambda _: None,
    )
    thread = Thread(target=worker.run)
    thread.start()
    pipe.orders.put(Serve(model=_spec(path)))
    pipe.orders.put(case.pace)
    time.sleep(SETTLE_S)
    before = len(pipe.said)
    time.sleep(seconds)
    pipe.orders.put(Stop())
    thread.join()
    return [said for said in pipe.said[before:] if isinstance(said, Predicted)]


@dataclass
class Slower:
    """A runtime whose models take longer."""

    runtime: Runtime
    by_s: float

    def load(self, content: bytes, *, threads: int, edgetpu: EdgeTpu | None = None) -> Model:
        return Throttled(self.runtime.load(content, threads=threads, edgetpu=edgetpu), self.by_s)  # type: ignore[return-value]  # it does all that is asked of one here


def _spec(path: Path) -> ModelSpec:
    content = path.read_bytes()
    image, answer = contract.infer(flatmodel.examine(content))
    return ModelSpec(
        name="bench",
        version="0",
        manifest=sha256(path.name.encode()),
        digest=sha256(content),
        model_path=str(path),
        labels_path=None,
        input=image,
        output=answer,
    )


if __name__ == "__main__":
    sys.exit(main())
