"""What TensorFlow did not make, and what is no plain classifier, through every mode on both runtimes."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from deploy.core.factory.conversion.words import Converted, Quantize
from deploy.core.factory.words import SourceKind
from tests import factory_sources
from tests.factory_sources import ordered

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Kind:
    kind: SourceKind
    place: str
    samples: str
    needs: str = ""
    """A package, or a program, without which it is skipped."""
    least: float = 0.9
    """Of samples on which a quantized model and its parent name the same class."""
    without: frozenset[Quantize] = frozenset()
    """Modes that the converter has not for it."""


KINDS = {
    "JAX": Kind(SourceKind.FUNCTION, "kinds:jax_function", "kinds:images"),
    ".tflite": Kind(SourceKind.TFLITE, "newer.keras.none.tflite", "images.npz"),
    "PyTorch": Kind(SourceKind.FUNCTION, "kinds:torch_module", "kinds:torch_samples", needs="litert_torch"),
    "ONNX": Kind(SourceKind.ONNX, "network.onnx", "kinds:images", needs="onnx2tf"),
    "Keras LSTM": Kind(SourceKind.FUNCTION, "kinds:lstm", "kinds:sequences"),
    "tf-keras LSTM": Kind(SourceKind.FUNCTION, "kinds:lstm_older", "kinds:sequences"),
    "Keras GRU": Kind(SourceKind.FUNCTION, "kinds:gru", "kinds:sequences"),
    "tf-keras GRU": Kind(SourceKind.FUNCTION, "kinds:gru_older", "kinds:sequences"),
    "two inputs, two outputs": Kind(
        # Two LSTM layers in a row whose weights nothing trained: 78 % in uint8, while float is equal.
        SourceKind.FUNCTION,
        "kinds:two_ends",
        "kinds:sequences_and_more",
        least=0.7,
    ),
    "mixed, nested, named": Kind(SourceKind.FUNCTION, "kinds:deep", "kinds:sequences_and_more"),
    "ConvLSTM2D": Kind(SourceKind.FUNCTION, "kinds:convolutional", "kinds:films"),
    "LSTM states": Kind(SourceKind.FUNCTION, "kinds:states", "kinds:sequences"),
    "subclassed": Kind(SourceKind.FUNCTION, "kinds:called", "kinds:pictures_of_any_name"),
    "token numbers": Kind(
        SourceKind.FUNCTION, "kinds:tokens", "kinds:words", without=frozenset({Quantize.INT16X8})
    ),
    "embedding": Kind(SourceKind.FUNCTION, "kinds:embedding", "kinds:images"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With the sources of `factory_sources`, the functions of `kinds`, and a float .tflite file."""
    made = tmp_path_factory.mktemp("sources")
    shutil.copy(HERE / "kinds.py", made)
    factory_sources.carry_out(made, [ordered(SourceKind.KERAS, "newer.keras", Quantize.NONE)])
    return made


@pytest.fixture(scope="module")
def table():
    lines = []
    yield lines
    sys.__stdout__.write("\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("name", KINDS)
def test_every_mode_converts_it_keeps_its_answers_and_runs_on_a_runtime(name, folder, table):
    kind = KINDS[name]
    if kind.needs and find_spec(kind.needs) is None and shutil.which(kind.needs) is None:
        pytest.skip(f"{kind.needs} is not installed here")
    if kind.kind is SourceKind.ONNX:
        _export_onnx(folder)
    orders = [
        ordered(kind.kind, kind.place, mode, *kind.samples.split("|") if mode.calibrated else ())
        for mode in Quantize
        if mode not in kind.without
    ]
    answers = factory_sources.carry_out(folder, orders)
    files = [folder / order.out for order in orders]
    table += [
        _row(name, order.quantize, file, answer)
        for order, file, answer in zip(orders, files, answers, strict=True)
    ]
    assert [answer.detail for answer in answers if not isinstance(answer, Converted)] == []
    for answer in answers:
        share = answer.agreement.same_first_share
        assert share is None or share >= kind.least, answer


def _row(name, mode, file, answer):
    if not isinstance(answer, Converted):
        return f"{name:24} {mode:13} refused: {answer.detail}"
    share = answer.agreement.same_first_share
    said = "  no class" if share is None else f"{100 * share:8.1f} %"
    runs = " | ".join(f"{runtime}: {_runs(runtime, file)}" for runtime in ("litert", "tflite"))
    size = f"{file.stat().st_size:9,}"
    return f"{name:24} {mode:13} {size} bytes {said} {answer.agreement.difference_mean:9.2g}  {runs}"


def _runs(runtime, file):
    done = subprocess.run(
        [sys.executable, "-m", "tests.factory.runs", runtime, str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.strip() or f"its process ends with {done.returncode}"
    if runtime == "litert":
        assert said == "ok", (file, said, done.stderr[-500:])
    return said[:100]


def _export_onnx(folder):
    """With channels first, as PyTorch leaves it."""
    pytest.importorskip("torch", reason="PyTorch exports the ONNX file, and is not installed here")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime answers as the parent, and is not installed here")
    code = (
        "import kinds, torch;"
        "torch.onnx.export(kinds._torch_network().eval(), (torch.zeros(1, 3, kinds.SIDE, kinds.SIDE),),"
        " 'network.onnx', dynamo=False, input_names=['image'], output_names=['scores'])"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)


def test_text_converts_only_with_an_operator_of_tensorflow_and_says_which(folder):
    (answer,) = factory_sources.carry_out(folder, [ordered(SourceKind.FUNCTION, "kinds:text", Quantize.NONE)])
    assert "StringLength" in answer.detail
    assert "--select-tf" in answer.detail


def test_inception_converts_at_299_pixels(folder, table):
    modes = (Quantize.NONE, Quantize.DYNAMIC, Quantize.UINT8)
    orders = [
        ordered(SourceKind.FUNCTION, "kinds:inception", mode, "kinds:pictures", accept_difference=1.0)
        for mode in modes
    ]
    answers = factory_sources.carry_out(folder, orders)
    table += [
        _row("Inception-v3", order.quantize, folder / order.out, answer)
        for order, answer in zip(orders, answers, strict=True)
    ]
    assert [type(answer) for answer in answers] == [Converted] * 3
    assert answers[0].signatures[0].inputs[0].shape == (1, 299, 299, 3)
