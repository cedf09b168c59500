"""Sources that TensorFlow did not make, and recurrent layers: one real child answers all orders."""

import shutil
from pathlib import Path

import pytest

from agent.core.tflite import flatmodel
from agent.core.tflite.flatmodel import Arithmetic
from deploy.core.factory.conversion.words import Converted, Quantize
from deploy.core.factory.words import SourceKind
from tests import factory_sources
from tests.factory_sources import ordered

KINDS = Path(__file__).parents[3] / "factory" / "kinds.py"
ORDERS = {
    "jax": ordered(SourceKind.FUNCTION, "kinds:jax_function", Quantize.INT8, "kinds:images"),
    "tflite": ordered(SourceKind.TFLITE, "kinds_embedding.none.tflite", Quantize.UINT8, "kinds:images"),
    "lstm": ordered(SourceKind.FUNCTION, "kinds:lstm", Quantize.INT8, "kinds:sequences"),
    "deep": ordered(SourceKind.FUNCTION, "kinds:deep", Quantize.INT8, "kinds:sequences_and_more"),
    "called": ordered(SourceKind.FUNCTION, "kinds:called", Quantize.NONE),
    "quantized": ordered(SourceKind.TFLITE, "kinds_embedding.none.tflite.uint8.tflite", Quantize.NONE),
    "nothing": ordered(SourceKind.TFLITE, "nothing.tflite", Quantize.NONE),
    "missing": ordered(SourceKind.TFLITE, "missing.tflite", Quantize.NONE),
    "shape": ordered(
        SourceKind.FUNCTION, "kinds:jax_function", Quantize.NONE, shapes={"image": (1, 8, 8, 3)}
    ),
    "three": ordered(SourceKind.FUNCTION, "pairs:three", Quantize.NONE),
    "misfit": ordered(SourceKind.FUNCTION, "pairs:misfit", Quantize.NONE),
}
PAIRS = """
import numpy as np


def three():
    return 1, 2, 3


def misfit():
    return (lambda a, b: a @ b), (np.zeros((2, 3)), np.zeros((2, 3)))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("sources")
    # What `factory_sources` would make takes longer than all these orders, and none needs it.
    (made / "newer.keras").touch()
    shutil.copy(KINDS, made)
    (made / "pairs.py").write_text(PAIRS)
    (made / "nothing.tflite").write_bytes(b"no model at all")
    return made


@pytest.fixture(scope="module")
def answers(folder):
    first = ordered(SourceKind.FUNCTION, "kinds:embedding", Quantize.NONE)
    found = factory_sources.carry_out(folder, [first, *ORDERS.values()])
    assert isinstance(found[0], Converted), found[0]
    return dict(zip(ORDERS, found[1:], strict=True))


@pytest.mark.parametrize("name", ["jax", "tflite", "lstm", "deep"])
def test_it_becomes_integers_and_keeps_its_answers(name, answers, folder):
    answer = answers[name]
    assert isinstance(answer, Converted), answer
    assert answer.agreement.difference_mean < 0.05
    facts = flatmodel.examine((folder / ORDERS[name].out).read_bytes())
    assert facts.arithmetic is Arithmetic.INTEGER


def test_an_lstm_of_the_newer_keras_becomes_one_operator_and_that_is_said(answers, folder):
    facts = flatmodel.examine((folder / ORDERS["lstm"].out).read_bytes())
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in facts.operator_names
    assert any("one operator" in remark for remark in answers["lstm"].remarks)


def test_recurrent_layers_are_unrolled_and_mixed_precision_widened_however_deep_and_that_is_said(answers):
    said = " ".join(answers["deep"].remarks)
    assert "GRU gru is unrolled over its 14 steps" in said
    assert "layers of mixed precision compute in float32" in said


def test_a_subclassed_model_is_known_by_what_it_was_called_with(answers):
    (signature,) = answers["called"].signatures
    assert signature.inputs[0].shape == (1, 12, 12, 3)
    assert [form.name for form in signature.outputs] == ["scores"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("quantized", "computes in full-integer already"),
        ("nothing", "not a TFLite model"),
        ("missing", "cannot be read: No such file"),
        ("shape", "leave out --shape image"),
        ("three", "return (function, examples)"),
        ("misfit", "JAX cannot trace the function on its examples"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence_and_leaves_no_file(name, said, answers, folder):
    assert said in answers[name].detail
    assert "\n" not in answers[name].detail
    assert not (folder / ORDERS[name].out).exists()
