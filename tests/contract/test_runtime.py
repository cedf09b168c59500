"""Both TFLite runtimes against the same expectations; what may crash them runs in a child process."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.adapters import runtime_tflite
from agent.adapters.runtime_tflite import open_runtime, xnnpack
from agent.core.inference import contract, labels
from agent.core.inference.scores import rank, scores
from agent.core.inference.tensors import prepare
from agent.core.serving.delegate import RuntimeChoice
from agent.core.tflite import flatmodel
from agent.wire.documents import Dtype, Fit, Quantization
from agent.wire.errors import ModelUnloadable, RuntimeMissing
from tests.fakes.tflite import RESHAPE, Form, Operator, Sketch, build, classifier, edgetpu

SHARED = Path(__file__).parents[3] / "shared" / "models"
PACKAGES = {RuntimeChoice.LITERT: "ai_edge_litert", RuntimeChoice.TFLITE: "tflite_runtime"}


@pytest.fixture(params=list(PACKAGES))
def choice(request):
    if importlib.util.find_spec(PACKAGES[request.param]) is None:
        pytest.skip(f"{PACKAGES[request.param]} is not installed")
    return request.param


@pytest.fixture
def runtime(choice):
    return open_runtime(choice)


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the shared test models are not beside this repository ({name})")
    return path


SHARES = {"uint8": (1 / 256, 0), "int8": (1 / 256, -128), "int16": (1 / 32768, 0), "float32": (0.0, 0)}


def tiny(dtype, scale=0.0, zero_point=0):
    return classifier(Form((1, 2, 2, 3), dtype, scale, zero_point), Form((1, 12), dtype, *SHARES[dtype]))


@pytest.mark.parametrize(
    ("content", "delegate", "quantization"),
    [
        (tiny("uint8", 1 / 16, 3), "xnnpack", Quantization(scale=1 / 16, zero_point=3)),
        (tiny("int8", 1 / 16, -100), "xnnpack", Quantization(scale=1 / 16, zero_point=-100)),
        (tiny("int16", 1 / 4096, 0), "cpu", Quantization(scale=1 / 4096, zero_point=0)),
        (tiny("float32"), "xnnpack", None),
    ],
)
def test_every_number_type_is_computed_and_the_delegate_told(runtime, content, delegate, quantization):
    model = runtime.load(content, threads=1)
    dtype = model.input.dtype
    image = np.arange(12).reshape(1, 2, 2, 3).astype(dtype.value)

    output = model.invoke(image)

    assert (model.input.shape, model.input.quantization) == ((1, 2, 2, 3), quantization)
    assert all(type(size) is int for size in (*model.input.shape, *model.output.shape))
    assert model.delegate == delegate
    assert model.delegate_reason.endswith("1 thread")
    assert model.runtime == runtime.name
    _, given = contract.infer(flatmodel.examine(content))
    shares = scores(output, given, model.output)
    powers = np.exp(np.arange(12) * (1.0 if quantization is None else quantization.scale))
    assert shares == pytest.approx(powers / powers.sum(), abs=0.005)


def test_the_output_is_a_copy_that_the_next_frame_leaves_alone(runtime):
    model = runtime.load(tiny("float32"), threads=1)
    image = np.zeros((1, 2, 2, 3), np.float32)
    first = model.invoke(image)
    kept = first.copy()

    image[0, 0, 0, 0] = 9
    second = model.invoke(image)

    assert (first == kept).all()
    assert not (second == kept).all()


def test_a_tensor_of_another_shape_is_the_callers_fault(runtime):
    model = runtime.load(tiny("float32"), threads=1)

    with pytest.raises(ValueError, match="Cannot set tensor"):
        model.invoke(np.zeros((1, 2, 2, 3), np.uint8))


def test_nothing_is_printed_while_a_model_loads(runtime, capfd):
    runtime.load(tiny("float32"), threads=2)

    assert capfd.readouterr() == ("", "")


def test_models_come_and_go_with_their_delegates(runtime):
    image = np.zeros((1, 2, 2, 3), np.uint8)
    kept = [runtime.load(tiny("uint8", 1 / 16), threads=1) for _ in range(30)]

    for _ in range(30):
        kept.pop(0).invoke(image)
        runtime.load(tiny("uint8", 1 / 16), threads=1).invoke(image)


def test_xnnpack_that_cannot_be_had_is_told_and_done_without(monkeypatch):
    if importlib.util.find_spec("tflite_runtime") is None:
        pytest.skip("tflite_runtime is not installed")
    monkeypatch.setattr(xnnpack, "make", lambda *_: None)

    model = open_runtime(RuntimeChoice.TFLITE).load(tiny("uint8", 1 / 16), threads=1)

    assert model.delegate == "cpu"
    assert "could not attach XNNPACK" in model.delegate_reason
    model.invoke(np.zeros((1, 2, 2, 3), np.uint8))


UINT8 = Form((1, 2, 2, 3), "uint8", 1 / 128, 128)
OUT = Form((1, 12), "uint8", 1 / 256, 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a TFLite model"),
        (b"GIF89a" + bytes(900), "not a TFLite model"),
        (tiny("uint8", 1 / 16)[:300], "damaged"),
        (edgetpu(UINT8, OUT), "compiled for an Edge TPU"),
        (build(Sketch((UINT8, OUT), (Operator(32, (0,), (1,), "made-up-op"),))), "made-up-op"),
        (
            classifier(Form((1, 12), "uint8", 1 / 128, 128), OUT),
            "not a classifier: its input is 1 x 12 uint8",
        ),
        (
            build(
                Sketch(
                    (UINT8, OUT, OUT),
                    (Operator(RESHAPE, (0,), (1,)), Operator(RESHAPE, (0,), (2,))),
                    outputs=(1, 2),
                )
            ),
            "not a classifier: 1 input and 2 outputs",
        ),
        (classifier(Form((1, 3, 8, 8), "float32"), Form((1, 192), "float32")), "channels first"),
    ],
)
def test_what_cannot_serve_is_refused_in_one_sentence(runtime, content, words):
    with pytest.raises(ModelUnloadable, match=words) as refusal:
        runtime.load(content, threads=1)

    assert "\n" not in str(refusal.value)


def test_auto_takes_the_first_that_is_installed_and_names_what_to_install(monkeypatch):
    assert open_runtime(RuntimeChoice.AUTO).name.split()[0] in {"ai-edge-litert", "tflite-runtime"}

    for package in PACKAGES.values():
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.setitem(sys.modules, f"{package}.interpreter", None)
    with pytest.raises(
        RuntimeMissing, match=r"pip install ai-edge-litert.*pip install 'tflite-runtime==2.14.0'"
    ):
        open_runtime(RuntimeChoice.AUTO)


# Real models

FULL = ["mobilenet_v2_1.0_224_quant", "tf2_mobilenet_v2_1.0_224_ptq", "derived_mobilenet_v2_224_int8_int8io"]
SMALL = [
    f"derived_mobilenet_v1_0.25_128_{kind}"
    for kind in ("f32", "f16", "dynrange", "int8_floatio", "int8_int8io")
]
SMALL.append("mobilenet_v1_0.25_128_quant")
# The class of the picture as the labels number it; a cat of the smallest model may be a tiger cat.
EXPECTED = {"parrot.jpg": {"macaw"}, "sunflower.bmp": {"daisy"}, "cat.bmp": {"Egyptian cat"}}


@pytest.mark.parametrize("name", FULL + SMALL)
def test_real_models_know_a_macaw_a_daisy_and_a_cat(runtime, name):
    content = shared(f"{name}.tflite").read_bytes()
    names = labels.parse(shared("labels/imagenet_labels.txt").read_bytes())
    facts = flatmodel.examine(content)
    wanted, given = contract.infer(facts, Fit.SQUASH)
    model = runtime.load(content, threads=1)

    assert contract.compare(wanted, given, model.input, model.output) is None
    assert labels.mismatch(names, model.output.shape[-1]) is None
    assert labels.embedded(content, facts) in {None, names}
    assert model.delegate == "xnnpack"
    for picture, right in EXPECTED.items():
        pixels = np.asarray(Image.open(shared(f"images/{picture}")).convert("RGB"))
        output = model.invoke(prepare(pixels, wanted, model.input))
        best = [each.label for each in rank(output, given, model.output, names, 2)]
        assert right & set(best[: 2 if name in SMALL and picture == "cat.bmp" else 1]), (picture, best)


def test_a_recurrent_model_judges_a_frame_by_itself_alone(runtime):
    model = runtime.load(shared("keras_lstm_mnist_ptq.tflite").read_bytes(), threads=1)
    rng = np.random.default_rng(1)
    frames = [
        (rng.integers(0, 60, (1, 28, 28)) * (rng.random((1, 28, 28)) < 0.2)).astype(np.uint8)
        for _ in range(8)
    ]

    once = [model.invoke(frame).tolist() for frame in frames]

    assert [model.invoke(frame).tolist() for frame in reversed(frames)] == once[::-1]
    assert model.input.shape == (1, 28, 28)
    assert model.output.dtype is Dtype.UINT8


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ssd_postprocess_head_only", "not a classifier: 12 inputs and 4 outputs"),
        ("model_invoking_error", "unresolved custom op: fake-op-double"),
        ("mobilenet_v2_1.0_224_quant_edgetpu", "compiled for an Edge TPU"),
        ("keras_lstm_mnist_ptq_edgetpu", "compiled for an Edge TPU"),
    ],
)
def test_real_models_that_cannot_serve_are_refused_in_one_sentence(runtime, name, words):
    with pytest.raises(ModelUnloadable, match=words) as refusal:
        runtime.load(shared(f"{name}.tflite").read_bytes(), threads=1)

    assert "\n" not in str(refusal.value)


LOAD_EACH = """
import sys
from agent.adapters.runtime_tflite import open_runtime
from agent.core.serving.delegate import RuntimeChoice
from agent.wire.errors import ModelUnloadable
runtime = open_runtime(RuntimeChoice(sys.argv[1]))
for path in sys.argv[2:]:
    try:
        runtime.load(open(path, "rb").read(), threads=1)
        print("loaded", flush=True)
    except ModelUnloadable as refusal:
        print("refused", str(refusal).count(chr(10)), flush=True)
"""


def test_truncated_files_and_noise_are_refused_before_native_code_sees_them(choice, tmp_path):
    """Of such truncations tflite-runtime alone survives one in five."""
    whole = shared("mobilenet_v1_0.25_128_quant.tflite").read_bytes()
    end = whole.rindex(b"PK\x03\x04")
    rng = random.Random(3)
    hostile = [whole[: rng.randrange(8, end)] for _ in range(20)]
    hostile += [whole[:8] + rng.randbytes(4_000) for _ in range(10)] + [rng.randbytes(4_000)]
    paths = [tmp_path / f"{index}.tflite" for index in range(len(hostile))]
    for path, content in zip(paths, hostile, strict=True):
        path.write_bytes(content)

    child = subprocess.run(
        [sys.executable, "-c", LOAD_EACH, choice.value, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert child.returncode == 0, child.stderr
    outcomes = child.stdout.splitlines()
    assert len(outcomes) == len(hostile)
    assert set(outcomes) <= {"refused 0", "loaded"}
    # A cut in the padding right before the appended labels loses nothing.
    assert outcomes.count("loaded") <= 1


def test_the_numpy_trap_of_tflite_runtime_is_named_before_and_when_it_springs(monkeypatch):
    if importlib.util.find_spec("tflite_runtime") is None:
        pytest.skip("tflite_runtime is not installed")
    runtime = open_runtime(RuntimeChoice.TFLITE)

    def spring(**_):
        raise SystemError("returned a result with an exception set")

    monkeypatch.setattr(runtime._module, "Interpreter", spring)
    with pytest.raises(ModelUnloadable, match="pip install 'numpy<2'"):
        runtime.load(tiny("float32"), threads=1)

    monkeypatch.setattr(runtime_tflite.np, "__version__", "2.1.0")
    with pytest.raises(RuntimeMissing, match=r"finds numpy 2\.1\.0: pip install 'numpy<2'"):
        open_runtime(RuntimeChoice.TFLITE)
