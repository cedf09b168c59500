"""What the operator measures is what devices compute: the same integers, unit for unit."""

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from agent.adapters.runtime_tflite import open_runtime
from agent.core.camera.frames import Frame
from agent.core.inference import contract
from agent.core.serving.delegate import RuntimeChoice
from agent.core.tflite import flatmodel
from agent.loops.child import capture
from agent.loops.child.loading import Loaded, load
from agent.wire.ipc import ModelSpec
from agent.wire.topics import sha256
from deploy.adapters import desk
from deploy.core.factory.evaluation.seen import Candidate
from deploy.flows import evaluate
from deploy.flows.evaluate import Ready
from tests.fakes.clock import FakeClock

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models" / "efficientnet_lite0"
SHARED = ROOT.parent / "shared" / "models"
PHOTOGRAPHS = sorted((ROOT / "models" / "photographs").glob("*.jpg"))[::3]
RUNTIMES = {RuntimeChoice.LITERT: "ai_edge_litert", RuntimeChoice.TFLITE: "tflite_runtime"}
MODELS = {
    "shipped uint8": SHIPPED / "efficientnet_lite0_224_uint8.tflite",
    "shipped float16": SHIPPED / "efficientnet_lite0_224_float16.tflite",
    "int8 at both ends": SHARED / "derived_mobilenet_v2_224_int8_int8io.tflite",
    "float ends": SHARED / "derived_mobilenet_v1_0.25_128_int8_floatio.tflite",
}


@pytest.fixture(params=RUNTIMES, ids=str)
def choice(request) -> RuntimeChoice:
    if importlib.util.find_spec(RUNTIMES[request.param]) is None:
        pytest.skip(f"{RUNTIMES[request.param]} is not installed")
    return request.param


@pytest.fixture(params=MODELS, ids=lambda name: name.replace(" ", "-"))
def model(request) -> Path:
    if not MODELS[request.param].is_file():
        pytest.skip(f"{MODELS[request.param].name} is not at hand")
    return MODELS[request.param]


def on_the_desk(path: Path, choice: RuntimeChoice) -> Ready:
    """As `shoal evaluate` opens it."""
    candidate = Candidate(place=str(path), classes=tuple(range(1001)))
    return evaluate.ready(open_runtime(choice), candidate, path.name, path.read_bytes(), threads=2)


def on_the_device(path: Path, choice: RuntimeChoice) -> Loaded:
    """As a worker loads what a manifest describes."""
    content = path.read_bytes()
    taken, given = contract.infer(flatmodel.examine(content))
    spec = ModelSpec(
        name="model",
        version="1",
        manifest=sha256(b"manifest"),
        digest=sha256(content),
        model_path=str(path),
        labels_path=None,
        input=taken,
        output=given,
        runtime=choice,
        threads=1,
    )
    loaded = load(spec, lambda name: open_runtime(RuntimeChoice(name)), FakeClock(), top=5)
    assert isinstance(loaded, Loaded)
    return loaded


def test_desk_and_device_compute_the_same_numbers_unit_for_unit(model, choice):
    desk_side, device_side = on_the_desk(model, choice), on_the_device(model, choice)
    for photograph in PHOTOGRAPHS:
        pixels = np.asarray(desk.picture(photograph))
        frame = Frame(pixels=pixels, sequence=1, captured_ns=0, captured_at=datetime(2030, 1, 1, tzinfo=UTC))
        seen = capture.prepare(frame, device_side, FakeClock())
        tensor = desk_side.tensor(pixels)
        np.testing.assert_array_equal(tensor, seen.tensor)
        answer = desk_side.model.invoke(tensor)
        again = device_side.model.invoke(seen.tensor)
        assert answer.dtype == again.dtype
        if answer.dtype.kind in "iu":
            np.testing.assert_array_equal(answer, again, err_msg=photograph.name)
        else:
            np.testing.assert_allclose(answer, again, atol=1e-6, err_msg=photograph.name)
