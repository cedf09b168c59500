"""The worker's loop over a scripted camera, a scripted runtime and a pipe in memory."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from threading import Event, Thread

import numpy as np
import pytest

from agent.core.camera.frames import Frame
from agent.loops.child.capture import Taking
from agent.loops.child.worker import FAILURES_MAX, Worker
from agent.ports.runtime import Tensor, TensorInfo
from agent.wire.documents import Dtype, InputContract, OutputContract
from agent.wire.errors import CameraFailed, ModelUnloadable
from agent.wire.ipc import (
    CameraTurned,
    EdgeTpu,
    InvokeFailed,
    ModelSpec,
    Pace,
    Predicted,
    Sample,
    Sampled,
    Serve,
    ServeFailed,
    Serving,
    Stop,
)
from agent.wire.reasons import Reason
from agent.wire.reports import CameraState
from agent.wire.topics import sha256
from tests.fakes.camera import ScriptedCamera
from tests.fakes.children import DEADLINE_S, MemoryPipe

CLASSES = 3


class SystemTime:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def synchronized(self) -> bool:
        return True


class SquareModel:
    """Its input has its own size, so that a tensor made for another model is noticed; its best class is the
    first pixel."""

    delegate, delegate_reason, runtime = "cpu", "scripted", "scripted 1"

    def __init__(self, side: int) -> None:
        self.input = TensorInfo("image", (1, side, side, 3), Dtype.UINT8, None)
        self.output = TensorInfo("scores", (1, CLASSES), Dtype.FLOAT32, None)
        self.gate = Event()
        self.gate.set()
        self.entered = Event()
        self.faults: list[str | float] = []
        """What the next invokes come to: an error, or a score that is not finite."""
        self.warm = False

    def invoke(self, tensor: Tensor) -> Tensor:
        assert tensor.shape == self.input.shape
        assert tensor.dtype == np.uint8
        if not self.warm:
            self.warm = True
            return np.zeros((1, CLASSES), np.float32)
        self.entered.set()
        assert self.gate.wait(DEADLINE_S)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, str):
            raise ModelUnloadable(fault)
        found = np.zeros((1, CLASSES), np.float32)
        found[0, int(tensor[0, 0, 0, 0]) % CLASSES] = 1.0 if fault is None else fault
        return found


class Shelf:
    """A runtime that loads the model whose bytes name it."""

    name = "scripted"

    def __init__(self) -> None:
        self.models: dict[bytes, SquareModel] = {}
        self.gate = Event()
        self.gate.set()

    def load(self, content: bytes, *, threads: int, edgetpu: EdgeTpu | None = None) -> SquareModel:
        assert edgetpu is None
        assert threads == 1
        assert self.gate.wait(DEADLINE_S)
        if content not in self.models:
            raise ModelUnloadable("the runtime refuses it")
        return self.models[content]


class Bench:
    def __init__(self, folder: Path) -> None:
        self.camera, self.pipe, self.shelf = ScriptedCamera(), MemoryPipe(), Shelf()
        self.ended: list[int] = []
        self.status: list[int] = []
        self.worker = Worker(
            self.camera,
            self.pipe,
            SystemTime(),
            lambda _: self.shelf,
            Taking(lambda _: 0.0),
            self.ended.append,
        )
        self._folder = folder
        self._sequence = itertools.count()
        self._thread = Thread(target=lambda: self.status.append(self.worker.run()))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> int:
        self.pipe.tell(Stop())
        return self.join()

    def join(self) -> int:
        self.until(self.worker._capture._stopping.is_set)
        self.camera.feed(CameraFailed("the test is over"))
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        return self.status[0]

    def model(self, name: str, side: int = 4) -> tuple[SquareModel, ModelSpec]:
        model = self.shelf.models[name.encode()] = SquareModel(side)
        return model, self.spec(name, side)

    def spec(self, name: str, side: int = 4) -> ModelSpec:
        path, labels = self._folder / name, self._folder / "labels.txt"
        path.write_bytes(name.encode())
        labels.write_text("red\ngreen\nblue\n")
        return ModelSpec(
            name=name,
            version="1",
            manifest=sha256(f"manifest of {name}".encode()),
            digest=sha256(name.encode()),
            model_path=str(path),
            labels_path=str(labels),
            input=InputContract(height_px=side, width_px=side, channels=3, dtype=Dtype.UINT8),
            output=OutputContract(classes=CLASSES, dtype=Dtype.FLOAT32),
        )

    def serve(self, spec: ModelSpec) -> Serving:
        self.pipe.tell(Serve(model=spec, top=1))
        return self.pipe.heard(Serving)

    def show(self, level: int = 0, *, skip: int = 0) -> int:
        """Feed a frame of one colour; its number."""
        for _ in range(skip):
            next(self._sequence)
        sequence = next(self._sequence)
        pixels = np.full((8, 8, 3), level, np.uint8)
        now = SystemTime().now()
        self.camera.feed(Frame(pixels, sequence, time.monotonic_ns(), now, f"frame-{sequence}"))
        return sequence

    def waiting(self) -> int | None:
        """The number of the frame that is prepared and waits for the model."""
        ready = self.worker._slot._ready
        return None if ready is None else ready.frame.sequence

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.001)


@contextmanager
def running(folder: Path) -> Iterator[Bench]:
    bench = Bench(folder)
    bench.start()
    try:
        yield bench
    finally:
        if not bench.status:
            bench.stop()


def test_each_frame_is_answered_with_ranked_labels_and_its_latencies(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        _, spec = bench.model("a")
        serving = bench.serve(spec)
        assert (serving.manifest, serving.digest, serving.delegate, serving.gap_ms) == (
            spec.manifest,
            spec.digest,
            "cpu",
            0.0,
        )
        for level, label in ((0, "red"), (1, "green"), (2, "blue")):
            sequence = bench.show(level)
            seen = bench.pipe.heard(Predicted)
            assert (seen.sequence, seen.frame, seen.manifest) == (
                sequence,
                f"frame-{sequence}",
                spec.manifest,
            )
            assert [(ranked.label, ranked.score) for ranked in seen.predictions] == [(label, 1.0)]
            latency = seen.latency_ms
            assert latency.age >= latency.pre + latency.invoke + latency.post > 0
            assert (seen.frames, seen.frames_dropped) == (sequence + 1, 0)
        assert bench.stop() == 0


def test_a_frame_replaced_before_the_model_took_it_is_a_drop(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        model, spec = bench.model("a")
        bench.serve(spec)
        model.gate.clear()
        first = bench.show()
        assert model.entered.wait(DEADLINE_S)
        for _ in range(4):
            last = bench.show()
        bench.until(lambda: bench.waiting() == last)
        model.gate.set()
        assert [bench.pipe.heard(Predicted).sequence for _ in range(2)] == [first, last]
        seen = bench.pipe.sent[-1]
        assert isinstance(seen, Predicted)
        assert (seen.frames, seen.frames_dropped) == (5, 3)


def test_frames_that_the_camera_itself_skipped_are_drops(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        bench.serve(bench.model("a")[1])
        bench.show()
        bench.pipe.heard(Predicted)
        bench.show(skip=2)
        seen = bench.pipe.heard(Predicted)
        assert (seen.sequence, seen.frames, seen.frames_dropped) == (3, 4, 2)


def test_without_a_model_the_camera_is_drained_and_nothing_is_said(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        for _ in range(3):
            bench.show()
        bench.until(lambda: bench.worker._capture.frames == 3)
        assert all(isinstance(said, CameraTurned) for said in bench.pipe.sent)
        bench.serve(bench.model("a")[1])
        bench.show()
        seen = bench.pipe.heard(Predicted)
        assert (seen.frames, seen.frames_dropped) == (4, 0)


def test_the_old_model_serves_until_its_heir_is_loaded(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        _, old = bench.model("old")
        _, heir = bench.model("heir")
        bench.serve(old)
        bench.shelf.gate.clear()
        bench.pipe.tell(Serve(model=heir))
        bench.show()
        assert bench.pipe.heard(Predicted).manifest == old.manifest
        bench.shelf.gate.set()
        bench.until(lambda: bench.worker._serving is not None and bench.worker._serving.spec == heir)
        bench.show()
        assert bench.pipe.heard(Serving).manifest == heir.manifest
        assert bench.pipe.heard(Predicted).manifest == heir.manifest


def test_a_frame_prepared_for_the_old_model_is_prepared_anew_for_its_heir(tmp_path: Path) -> None:
    """And it is not lost: the models' inputs differ in size, and the scripted ones insist on theirs."""
    with running(tmp_path) as bench:
        model, old = bench.model("old", side=4)
        _, heir = bench.model("heir", side=6)
        bench.serve(old)
        model.gate.clear()
        bench.show()
        assert model.entered.wait(DEADLINE_S)
        waiting = bench.show(2)
        bench.until(lambda: bench.waiting() == waiting)
        bench.pipe.tell(Serve(model=heir))
        bench.until(lambda: bool(bench.worker._arrived))
        model.gate.set()
        assert bench.pipe.heard(Predicted).manifest == old.manifest
        seen = bench.pipe.heard(Predicted)
        assert (seen.sequence, seen.manifest, seen.frames_dropped) == (waiting, heir.manifest, 0)
        assert seen.predictions[0].label == "blue"


def test_a_takeover_is_announced_even_if_no_frame_comes(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        bench.serve(bench.model("old")[1])
        bench.show()
        bench.pipe.heard(Predicted)
        assert bench.serve(bench.model("heir")[1]).gap_ms == 0


def broken_digest(bench: Bench) -> ModelSpec:
    spec = bench.model("bad")[1]
    Path(spec.model_path).write_bytes(b"rotten")
    return spec


def no_file(bench: Bench) -> ModelSpec:
    spec = bench.model("bad")[1]
    Path(spec.model_path).unlink()
    return spec


def refused_by_the_runtime(bench: Bench) -> ModelSpec:
    return bench.spec("bad")


def another_contract(bench: Bench) -> ModelSpec:
    bench.model("bad", side=4)
    return bench.spec("bad", side=5)


def no_labels(bench: Bench) -> ModelSpec:
    spec = bench.model("bad")[1]
    Path(spec.labels_path or "").write_bytes(b"")
    return spec


@pytest.mark.parametrize(
    ("spoil", "reason", "said"),
    [
        (broken_digest, Reason.DIGEST_MISMATCH, "was asked for"),
        (no_file, Reason.LOAD_FAILED, "No such file"),
        (refused_by_the_runtime, Reason.LOAD_FAILED, "the runtime refuses it"),
        (another_contract, Reason.CONTRACT_MISMATCH, "height x width"),
        (no_labels, Reason.LABELS_MISMATCH, "empty"),
    ],
)
def test_a_model_that_cannot_serve_leaves_the_old_one_serving(
    tmp_path: Path, spoil: Callable[[Bench], ModelSpec], reason: Reason, said: str
) -> None:
    with running(tmp_path) as bench:
        old = bench.model("old")[1]
        bench.serve(old)
        bad = spoil(bench)
        bench.pipe.tell(Serve(model=bad))
        failed = bench.pipe.heard(ServeFailed)
        assert (failed.manifest, failed.reason) == (bad.manifest, reason)
        assert said in failed.detail
        bench.show()
        assert bench.pipe.heard(Predicted).manifest == old.manifest


def test_failures_in_a_row_end_the_process(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        model, spec = bench.model("a")
        bench.serve(spec)
        model.faults = ["the stick is gone"] * FAILURES_MAX
        for _ in range(FAILURES_MAX):
            sequence = bench.show()
            failed = bench.pipe.heard(InvokeFailed)
            assert (failed.sequence, failed.detail) == (sequence, "the stick is gone")
        assert bench.join() == 1


def test_a_good_frame_between_failures_forgives_them(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        model, spec = bench.model("a")
        bench.serve(spec)
        for _ in range(2):
            model.faults = ["a glitch"] * (FAILURES_MAX - 1)
            for _ in range(FAILURES_MAX - 1):
                bench.show()
                bench.pipe.heard(InvokeFailed)
            bench.show()
            bench.pipe.heard(Predicted)
        assert bench.stop() == 0


def test_scores_that_are_not_finite_are_a_failure_of_that_frame_only(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        model, spec = bench.model("a")
        bench.serve(spec)
        model.faults = [float("nan")] * (FAILURES_MAX + 1)
        for _ in range(FAILURES_MAX + 1):
            bench.show()
            assert "not finite" in bench.pipe.heard(InvokeFailed).detail
        bench.show()
        bench.pipe.heard(Predicted)


def test_a_lost_camera_is_opened_again_and_told_once_when_it_goes_and_once_when_it_is_back(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as bench:
        bench.serve(bench.model("a")[1])
        bench.show()
        bench.pipe.heard(Predicted)
        bench.camera.refuse_to_open(CameraFailed("still gone"))
        bench.camera.refuse_to_open(CameraFailed("still gone"))
        bench.camera.feed(CameraFailed("unplugged"))
        bench.until(lambda: bench.camera.opened == 2)
        bench.show()
        bench.pipe.heard(Predicted)
        turns = [message for message in bench.pipe.sent if isinstance(message, CameraTurned)]
        assert [(turn.state, turn.detail) for turn in turns] == [
            (CameraState.OPENING, ""),
            (CameraState.LIVE, ""),
            (CameraState.LOST, "unplugged"),
            (CameraState.LIVE, ""),
        ]
        assert all(turn.lasted_s >= 0 and turn.kind == "scripted" for turn in turns)
        assert bench.camera.opened == 2


def test_a_sample_is_the_next_predicted_frame_with_its_own_pixels(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        bench.serve(bench.model("a")[1])
        bench.pipe.tell(Sample())
        bench.until(bench.worker._sample_wanted.is_set)
        sequence = bench.show(2)
        sampled = bench.pipe.heard(Sampled)
        assert (sampled.sequence, sampled.height_px, sampled.width_px) == (sequence, 8, 8)
        assert sampled.rgb == bytes([2]) * 192
        assert sampled.predictions[0].label == "blue"
        bench.show()
        bench.pipe.heard(Predicted)
        assert sum(isinstance(message, Sampled) for message in bench.pipe.sent) == 1


def test_a_worker_whose_supervisor_is_gone_ends_at_once(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        bench.pipe.hang_up()
        bench.until(lambda: bench.ended == [0])
        bench.worker.stop()
        assert bench.join() == 0


def test_a_paused_worker_answers_nothing_takes_models_over_and_goes_on_with_fresh_frames(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as bench:
        bench.serve(bench.model("a")[1])
        bench.pipe.tell(Pace(fps_max=0.0))
        bench.until(lambda: bench.worker._slot._gate.shut)
        bench.show()
        heir = bench.model("heir")[1]
        assert bench.serve(heir).manifest == heir.manifest
        stale = bench.show()
        bench.until(lambda: bench.worker._capture.frames == 2)
        bench.pipe.tell(Pace())
        bench.until(lambda: not bench.worker._slot._gate.shut)
        fresh = bench.show()
        assert bench.pipe.heard(Predicted).sequence == fresh != stale


def test_a_limited_rate_is_kept_and_what_is_classified_is_the_freshest(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        bench.serve(bench.model("a")[1])
        bench.pipe.tell(Pace(fps_max=20.0))
        bench.until(lambda: bench.worker._slot._gate._step_ns > 0)
        begun = time.monotonic()
        while time.monotonic() < begun + 0.6:
            bench.show()
            time.sleep(0.002)
        seen = [said for said in bench.pipe.sent if isinstance(said, Predicted)]
        assert 4 <= len(seen) <= 14
        assert median(said.latency_ms.capture for said in seen) < 25.0
