"""Conversions for real, all in one process with TensorFlow; every source in every mode: tests/factory."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.core.tflite import flatmodel
from agent.core.tflite.flatmodel import Arithmetic, ModelFacts
from deploy.core.factory.conversion.words import Converted, Quantize
from deploy.core.factory.words import Refusal, SourceKind
from tests.factory_sources import CLASSES, SIDE, carry_out, ordered

ORDERS = {
    "float": ordered(SourceKind.KERAS, "newer.keras", Quantize.NONE),
    "dynamic": ordered(SourceKind.KERAS, "newer.keras", Quantize.DYNAMIC),
    "uint8": ordered(SourceKind.KERAS, "newer.keras", Quantize.UINT8, "images.npz"),
    "signatures": ordered(
        SourceKind.SAVED_MODEL, "module", Quantize.INT8, "embed=numbers.npz", "decide=vectors.npz"
    ),
    "function": ordered(SourceKind.FUNCTION, "theirs:concrete", Quantize.FLOAT16, "theirs:takes"),
    "fallback": ordered(SourceKind.SAVED_MODEL, "sine", Quantize.INT8, "numbers.npz", float_fallback=True),
    "strict": ordered(SourceKind.SAVED_MODEL, "sine", Quantize.INT8, "numbers.npz"),
    "foreign": ordered(SourceKind.SAVED_MODEL, "erf", Quantize.NONE),
    "named": ordered(SourceKind.SAVED_MODEL, "erf", Quantize.NONE, select_tf=("Erf",)),
    "not a number": ordered(SourceKind.KERAS, "not_a_number.keras", Quantize.NONE),
    "infinite": ordered(SourceKind.FUNCTION, "theirs:infinite", Quantize.NONE),
    "wrong shape": ordered(SourceKind.KERAS, "newer.keras", Quantize.INT8, "wrong.npz"),
    "damaged": ordered(SourceKind.KERAS, "damaged.keras", Quantize.FLOAT16),
    "beyond": ordered(SourceKind.KERAS, "newer.keras", Quantize.INT8, "images.npz", accept_difference=0.0),
}
REFUSED = {
    "strict": "mode int8 is full integer, and there is no integer form of SIN (at Sin): --float-fallback",
    "foreign": "the operator Erf is outside TensorFlow Lite's built-in set: replace it in the model; "
    "--select-tf Erf leaves it in, which no device of Shoal runs",
    "not a number": "'hidden/kernel' hold 1 values of 6400 that are no numbers (NaN or infinity)",
    "infinite": "the float model itself answers NaN or infinity in output 'output_0'",
    "wrong shape": "image has the shape 100 x 13 x 12 x 3, and the model takes samples of 12 x 12 x 3",
    "damaged": "damaged.keras is neither a .keras archive nor an HDF5 file",
    "beyond": "is not the float model: over 100 representative samples its answers differ",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(scope="module")
def answers(folder: Path) -> Mapping[str, Converted | Refusal]:
    return dict(zip(ORDERS, carry_out(folder, list(ORDERS.values())), strict=True))


def made(folder: Path, answers: Mapping[str, Converted | Refusal], name: str) -> tuple[Converted, ModelFacts]:
    answer = answers[name]
    assert isinstance(answer, Converted), answer
    return answer, flatmodel.examine((folder / ORDERS[name].out).read_bytes())


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_order_is_one_sentence_and_leaves_no_file(
    folder: Path, answers: Mapping[str, Converted | Refusal], name: str
) -> None:
    answer = answers[name]

    assert isinstance(answer, Refusal), answer
    assert REFUSED[name] in answer.detail
    assert "\n" not in answer.detail
    assert not (folder / ORDERS[name].out).exists()


def test_a_float_conversion_answers_as_its_parent_to_the_last_digits(
    folder: Path, answers: Mapping[str, Converted | Refusal]
) -> None:
    converted, facts = made(folder, answers, "float")

    assert converted.agreement is not None
    assert converted.agreement.difference_max < 1e-5
    assert converted.agreement.same_first_share == 1.0
    assert facts.arithmetic is Arithmetic.FLOAT32
    assert facts.inputs[0].shape == (1, SIDE, SIDE, 3)
    assert [remark for remark in converted.remarks if "noise" in remark]


def test_dynamic_range_stays_within_what_every_runtime_knows(
    folder: Path, answers: Mapping[str, Converted | Refusal]
) -> None:
    converted, facts = made(folder, answers, "dynamic")

    assert facts.arithmetic is Arithmetic.DYNAMIC
    assert [remark for remark in converted.remarks if "tflite-runtime" in remark] == []
    assert {each.version for each in facts.operator_versions if each.name == "FULLY_CONNECTED"} <= {9}


def test_a_classifier_becomes_full_integer_with_uint8_at_both_ends(
    folder: Path, answers: Mapping[str, Converted | Refusal]
) -> None:
    converted, facts = made(folder, answers, "uint8")

    assert facts.arithmetic is Arithmetic.INTEGER
    assert [tensor.dtype for tensor in (*facts.inputs, *facts.outputs)] == ["uint8", "uint8"]
    assert facts.outputs[0].shape == (1, CLASSES)
    assert converted.calibration is not None
    assert converted.calibration.samples == 100


def test_several_signatures_are_kept_by_name_each_on_its_own_data(
    folder: Path, answers: Mapping[str, Converted | Refusal]
) -> None:
    converted, facts = made(folder, answers, "signatures")

    assert sorted(facts.signatures) == ["decide", "embed"]
    assert {each.name: [form.name for form in each.inputs] for each in converted.signatures} == {
        "embed": ["numbers"],
        "decide": ["vector"],
    }
    assert facts.arithmetic is Arithmetic.INTEGER


def test_a_function_of_the_operators_own_is_a_source_and_a_source_of_data(
    folder: Path, answers: Mapping[str, Converted | Refusal]
) -> None:
    converted, facts = made(folder, answers, "function")

    assert facts.arithmetic is Arithmetic.FLOAT16
    assert converted.calibration is None
    assert converted.agreement is not None
    assert converted.agreement.samples == 100


def test_a_float_operator_is_left_in_where_that_was_asked_for_and_said(
    folder: Path, answers: Mapping[str, Converted | Refusal]
) -> None:
    converted, facts = made(folder, answers, "fallback")

    assert facts.arithmetic is Arithmetic.MIXED
    assert facts.inputs[0].dtype == "int8"
    assert "no integer form: SIN" in " ".join(converted.remarks)


def test_an_operator_of_tensorflow_is_left_in_only_by_name_and_said(
    folder: Path, answers: Mapping[str, Converted | Refusal]
) -> None:
    converted, facts = made(folder, answers, "named")

    assert facts.custom_operators == ("FlexErf",)
    assert "FlexErf, which no device of Shoal runs" in " ".join(converted.remarks)
