"""Every source that TensorFlow reads, in every mode, on both runtimes (minutes)."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from agent.adapters.runtime_tflite import open_runtime
from agent.core.serving.delegate import RuntimeChoice
from agent.core.tflite import flatmodel, needs
from agent.core.tflite.flatmodel import Arithmetic
from agent.ports.signatures import Signature
from agent.wire.errors import RuntimeMissing
from deploy.core.factory.conversion.words import Convert, Converted, Quantize
from deploy.core.factory.words import Refusal, SourceKind
from tests.factory_sources import ROOT, carry_out, ordered

SOURCES = {
    "newer.keras": (SourceKind.KERAS, ["images.npz"]),
    "newer.h5": (SourceKind.KERAS, ["images.npz"]),
    "older.keras": (SourceKind.KERAS, ["images.npz"]),
    "older.h5": (SourceKind.KERAS, ["images.npz"]),
    "two_ends.keras": (SourceKind.KERAS, ["ends.npz"]),
    "exported": (SourceKind.SAVED_MODEL, ["images.npz"]),
    "module": (SourceKind.SAVED_MODEL, ["embed=numbers.npz", "decide=vectors.npz"]),
    "theirs:network": (SourceKind.FUNCTION, ["images.npz"]),
    "theirs:module": (SourceKind.FUNCTION, ["embed=numbers.npz", "decide=vectors.npz"]),
    "theirs:plain": (SourceKind.FUNCTION, ["numbers.npz"]),
    "theirs:concrete": (SourceKind.FUNCTION, ["theirs:takes"]),
}
CASES = [(place, mode) for place in SOURCES for mode in Quantize]
ARITHMETIC = {
    Quantize.NONE: Arithmetic.FLOAT32,
    Quantize.DYNAMIC: Arithmetic.DYNAMIC,
    Quantize.FLOAT16: Arithmetic.FLOAT16,
    Quantize.INT8_FLOAT_IO: Arithmetic.INTEGER,
    Quantize.INT8: Arithmetic.INTEGER,
    Quantize.UINT8: Arithmetic.INTEGER,
    Quantize.INT16X8: Arithmetic.INT16X8,
}
WEIGHTLESS = {"module", "theirs:module"}
"""Their first graph has no weights: without ranges of activations nothing of it can become smaller."""
ENDS = {Quantize.INT8: "int8", Quantize.UINT8: "uint8"}
OPEN = {"image": (1, 20, 20, 3)}
ODD = {
    "open, unsaid": ordered(SourceKind.KERAS, "open_size.keras", Quantize.NONE),
    "open, said": ordered(SourceKind.KERAS, "open_size.keras", Quantize.DYNAMIC, shapes=OPEN),
    "open, misnamed": ordered(SourceKind.KERAS, "open_size.keras", Quantize.FLOAT16, shapes={"img": (1,)}),
    "weights": ordered(SourceKind.KERAS, "only.weights.h5", Quantize.NONE),
    "nothing": ordered(SourceKind.KERAS, "nothing.h5", Quantize.NONE),
    "mute": ordered(SourceKind.SAVED_MODEL, "without_signatures", Quantize.NONE),
    "empty": ordered(SourceKind.SAVED_MODEL, "empty", Quantize.NONE),
    "text": ordered(SourceKind.FUNCTION, "theirs:text", Quantize.NONE),
    "unset": ordered(SourceKind.FUNCTION, "theirs:infinite", Quantize.FLOAT16),
    "16x8": ordered(SourceKind.SAVED_MODEL, "sine", Quantize.INT16X8, "numbers.npz"),
    "16x8, fallback": ordered(
        SourceKind.SAVED_MODEL, "sine", Quantize.INT16X8, "numbers.npz", float_fallback=True
    ),
    "custom": ordered(SourceKind.SAVED_MODEL, "erf", Quantize.NONE, custom=("Erf",)),
    "other custom": ordered(SourceKind.SAVED_MODEL, "erf", Quantize.FLOAT16, custom=("Betainc",)),
    "one of two": ordered(SourceKind.SAVED_MODEL, "module", Quantize.NONE, signatures=("embed",)),
}
REFUSED = {
    "open, unsaid": "leaves sizes open (any x any x any x 3): fix them, for instance with --shape image=",
    "open, misnamed": "there is no input 'img'; did you mean 'image'?",
    "weights": "holds weights and no model",
    "nothing": "neither a .keras archive nor an HDF5 file",
    "mute": "the model has no signature",
    "empty": "cannot be loaded as a SavedModel",
    "text": "theirs:text returns str",
    "unset": "answers NaN or infinity",
    "16x8": "no integer form of SIN",
    "other custom": "--custom Erf",
}

TRAP = """
import sys
import numpy as np
import keras
import tensorflow as tf
from deploy.core.factory.conversion import agreeing
from deploy.core.factory.conversion.words import Quantize
from deploy.factory.conversion import comparing
from deploy.factory.sources import opening
from tests.factory_sources import SourceKind, ordered

order = ordered(SourceKind.KERAS, "newer.keras", Quantize.NONE)
parent = opening.open_parent(order.source, order)
model = keras.saving.load_model("newer.keras")
spec = tf.TensorSpec((1, 12, 12, 3), tf.float32, "image")
function = tf.function(lambda image: model(image), input_signature=[spec])
concrete = function.get_concrete_function()
content = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()
images = np.load("images.npz")["image"]
# This entry names the output after nothing of the model: the one it has stands for the parent's.
runner = tf.lite.Interpreter(model_content=content).get_signature_runner("serving_default")
name = next(iter(runner.get_output_details()))
pairs = []
for image in images[:20]:
    said = parent.answer("serving_default", {"image": image[None]})
    try:
        child = runner(image=image[None])[name]
    except (RuntimeError, ValueError) as error:
        print("refused by the runtime", file=sys.stderr)
        child = np.full((1, 10), np.nan)
    pairs.append(agreeing.Answered(parent=said, child={"scores": child}))
print(list(agreeing.faults(Quantize.NONE, agreeing.measure(pairs, Quantize.NONE), None)))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


def _order(place: str, mode: Quantize) -> Convert:
    kind, given = SOURCES[place]
    return ordered(kind, place, mode, *given)


@pytest.fixture(scope="module")
def answers(folder: Path) -> Mapping[tuple[str, Quantize] | str, Converted | Refusal]:
    orders = {case: _order(*case) for case in CASES} | ODD
    return dict(zip(orders, carry_out(folder, list(orders.values())), strict=True))


@pytest.mark.parametrize(("place", "mode"), CASES)
def test_every_source_converts_in_every_mode_and_answers_as_its_parent(
    folder: Path, answers: Mapping[object, Converted | Refusal], place: str, mode: Quantize
) -> None:
    answer = answers[place, mode]

    assert isinstance(answer, Converted), answer
    facts = flatmodel.examine((folder / _order(place, mode).out).read_bytes())
    if place not in WEIGHTLESS or mode.calibrated:
        assert facts.arithmetic is ARITHMETIC[mode]
    ends = {tensor.dtype for tensor in (*facts.inputs, *facts.outputs)}
    assert ends == {ENDS.get(mode, "float32")}
    assert needs.need(facts) is None
    assert answer.agreement is not None
    assert answer.agreement.difference_mean < (1e-4 if mode is Quantize.NONE else 0.1)
    assert sorted(facts.signatures) == sorted(each.name for each in answer.signatures)


def _zeros(signature: Signature) -> dict[str, np.ndarray]:
    return {port.name: np.zeros(port.shape or (), port.dtype) for port in signature.inputs}


@pytest.mark.parametrize("choice", [RuntimeChoice.LITERT, RuntimeChoice.TFLITE], ids=str)
@pytest.mark.parametrize("mode", Quantize)
def test_what_was_converted_runs_on_both_runtimes(
    folder: Path, answers: Mapping[object, Converted | Refusal], mode: Quantize, choice: RuntimeChoice
) -> None:
    assert answers
    try:
        runtime = open_runtime(choice)
    except RuntimeMissing as missing:
        pytest.skip(str(missing))
    for place in SOURCES:
        model = runtime.open((folder / _order(place, mode).out).read_bytes(), threads=1)
        for signature in model.signatures:
            outputs = model.call(signature, _zeros(signature))
            assert all(np.isfinite(output.astype(np.float64)).all() for output in outputs.values())


@pytest.mark.parametrize("name", ODD)
def test_an_odd_order_is_one_sentence_or_a_whole_file(
    folder: Path, answers: Mapping[object, Converted | Refusal], name: str
) -> None:
    answer = answers[name]

    if name in REFUSED:
        assert isinstance(answer, Refusal), answer
        assert REFUSED[name] in answer.detail
        assert not (folder / ODD[name].out).exists()
    else:
        assert isinstance(answer, Converted), answer
        flatmodel.examine((folder / ODD[name].out).read_bytes())


def test_the_same_source_and_order_make_the_same_bytes_in_another_process(
    folder: Path, answers: Mapping[object, Converted | Refusal]
) -> None:
    assert answers
    orders = [_order(place, mode) for place, mode in CASES[:: len(Quantize) + 1]]
    before = [(folder / order.out).read_bytes() for order in orders]

    again = carry_out(folder, list(reversed(orders)))

    assert [(folder / order.out).read_bytes() for order in orders] == before
    assert all(isinstance(answer, Converted) for answer in again)


def test_the_path_on_which_the_newer_keras_loses_its_variables_is_caught_by_the_comparison(
    folder: Path, answers: Mapping[object, Converted | Refusal]
) -> None:
    assert answers

    done = subprocess.run(
        [sys.executable, "-P", "-c", TRAP],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert "its answers differ from the float model's by" in done.stdout
