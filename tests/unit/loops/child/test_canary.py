"""The canary's loop over a scripted runtime; what real models do to it is in the scenarios."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.loops.child.canary import Canary, decode_png
from agent.ports.runtime import Tensor, TensorInfo
from agent.wire import codec
from agent.wire.documents import Dtype, GoldenCase, GoldenSet, InputContract, OutputContract
from agent.wire.errors import Malformed, ModelUnloadable, RuntimeMissing
from agent.wire.ipc import EdgeTpu, Findings, ModelSpec, Prove, ProveFailed, Shadow, Shadowed, Stop
from agent.wire.reasons import Reason
from agent.wire.topics import sha256
from tests.fakes.children import MemoryPipe
from tests.fakes.clock import FakeClock
from tests.models import png

CONTENT = b"a model"


class Colours:
    """Scores of red, green and blue: the share of each in the first pixel."""

    delegate, delegate_reason, runtime = "cpu", "scripted", "scripted 1"

    def __init__(self, clock: FakeClock, *, fails_after: int = 1000, poison: float = 0.0) -> None:
        self.input = TensorInfo("image", (1, 2, 2, 3), Dtype.UINT8, None)
        self.output = TensorInfo("scores", (1, 3), Dtype.FLOAT32, None)
        self._clock, self._left, self._poison = clock, fails_after, poison

    def invoke(self, tensor: Tensor) -> Tensor:
        if self._left == 0:
            raise ModelUnloadable("it fails in the middle")
        self._left -= 1
        self._clock.advance(0.004)
        pixel = tensor[0, 0, 0].astype(np.float32)
        return (pixel / max(1.0, float(pixel.sum())) + np.float32(self._poison))[None]


class Scene:
    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.model = Colours(self.clock)
        self.path, self.golden, self.labels = folder / "m.tflite", folder / "golden", folder / "labels.txt"
        self.path.write_bytes(CONTENT)
        self.labels.write_text("red\ngreen\nblue\n")
        self.cases(((255, 0, 0), ((0, 1.0), (1, 0.0))), ((0, 0, 255), ((2, 1.0), (0, 0.0))))
        self.missing: RuntimeMissing | None = None
        self.name = "scripted"

    def cases(self, *cases: tuple[tuple[int, int, int], tuple[tuple[int, float], ...]]) -> None:
        golden = GoldenSet(
            cases=tuple(
                GoldenCase(png=png(np.full((4, 4, 3), colour, np.uint8)), expected=expected)
                for colour, expected in cases
            )
        )
        self.golden.write_bytes(codec.encode(golden))

    def load(self, content: bytes, *, threads: int, edgetpu: EdgeTpu | None = None) -> Colours:
        assert (content, edgetpu) == (CONTENT, None)
        assert threads in {1, 2}
        return self.model

    def open(self, _: str) -> "Scene":
        if self.missing is not None:
            raise self.missing
        return self

    def spec(self) -> ModelSpec:
        return ModelSpec(
            name="colours",
            version="1",
            manifest=sha256(b"manifest"),
            digest=sha256(CONTENT),
            model_path=str(self.path),
            labels_path=str(self.labels),
            input=InputContract(height_px=2, width_px=2, channels=3, dtype=Dtype.UINT8),
            output=OutputContract(classes=3, dtype=Dtype.FLOAT32),
        )

    def ask(self, *questions: Prove | Shadow, repeats: int = 2) -> list[object]:
        pipe = MemoryPipe()
        prove = Prove(model=self.spec(), golden_path=str(self.golden), repeats=repeats)
        for question in (prove, *questions, Stop()):
            pipe.tell(question)
        Canary(pipe, self.clock, self.open).run()
        return list(pipe.sent)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_it_tells_what_it_saw(scene: Scene) -> None:
    (found,) = scene.ask()
    assert isinstance(found, Findings)
    assert (found.classes, found.labels, found.contract_fault) == (3, 3, None)
    assert [(g.found_top, g.found, g.finite) for g in found.golden] == [
        (0, (1.0, 0.0), True),
        (2, (1.0, 0.0), True),
    ]
    assert found.invoke_ms == pytest.approx((4.0,) * 4)


def test_numbers_that_are_not_finite_are_told_as_such(scene: Scene) -> None:
    scene.model = Colours(scene.clock, poison=math.nan)
    (found,) = scene.ask()
    assert isinstance(found, Findings)
    assert [golden.finite for golden in found.golden] == [False, False]


def test_an_expected_class_that_the_model_has_not_is_not_a_number(scene: Scene) -> None:
    scene.cases(((255, 0, 0), ((7, 1.0), (-1, 0.5))))
    (found,) = scene.ask()
    assert isinstance(found, Findings)
    assert all(math.isnan(score) for score in found.golden[0].found)


def rotten(scene: Scene) -> None:
    scene.path.write_bytes(b"something else")


def no_runtime(scene: Scene) -> None:
    scene.missing = RuntimeMissing("no runtime is installed")


def fails(scene: Scene) -> None:
    scene.model = Colours(scene.clock, fails_after=1)


def no_golden(scene: Scene) -> None:
    scene.golden.unlink()


def broken_golden(scene: Scene) -> None:
    scene.golden.write_bytes(b"\x80")


def broken_picture(scene: Scene) -> None:
    scene.golden.write_bytes(codec.encode(GoldenSet(cases=(GoldenCase(png=b"no", expected=()),))))


def broken_labels(scene: Scene) -> None:
    scene.labels.write_bytes(b"\xff\xfe")


@pytest.mark.parametrize(
    ("spoil", "reason", "said"),
    [
        (rotten, Reason.DIGEST_MISMATCH, "has digest"),
        (no_runtime, Reason.LOAD_FAILED, "no runtime is installed"),
        (fails, Reason.LOAD_FAILED, "it fails in the middle"),
        (no_golden, Reason.UNREADABLE, "No such file"),
        (broken_golden, Reason.UNREADABLE, "golden"),
        (broken_picture, Reason.UNREADABLE, "golden picture"),
        (broken_labels, Reason.LABELS_MISMATCH, "not UTF-8"),
    ],
)
def test_what_ends_a_proof_early_is_said(
    scene: Scene, spoil: Callable[[Scene], None], reason: Reason, said: str
) -> None:
    spoil(scene)
    (failed,) = scene.ask()
    assert isinstance(failed, ProveFailed)
    assert (failed.manifest, failed.reason) == (scene.spec().manifest, reason)
    assert said in failed.detail


def shadow(colour: tuple[int, int, int]) -> Shadow:
    return Shadow(sequence=9, height_px=4, width_px=6, rgb=bytes(colour) * 24)


def test_after_the_proof_it_answers_live_frames(scene: Scene) -> None:
    _, seen = scene.ask(shadow((0, 255, 0)))
    assert isinstance(seen, Shadowed)
    assert (seen.sequence, seen.finite, seen.predictions[0].label) == (9, True, "green")


def test_a_live_frame_that_fails_is_said(scene: Scene) -> None:
    scene.model = Colours(scene.clock, fails_after=6)
    _, failed = scene.ask(shadow((0, 255, 0)))
    assert isinstance(failed, ProveFailed)
    assert failed.reason is Reason.INVOKE_ERRORS


def test_a_golden_picture_is_a_png_and_nothing_else() -> None:
    with pytest.raises(Malformed):
        decode_png(b"BM" + bytes(60))
