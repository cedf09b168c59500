import math
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from agent.core.inference import contract
from agent.core.tflite import flatmodel
from agent.wire.documents import (
    Activation,
    Dtype,
    Fit,
    InputContract,
    Normalization,
    OutputContract,
    Quantization,
)
from agent.wire.errors import Malformed
from tests.fakes.tflite import Card, Form, card, classifier, edgetpu


@dataclass(frozen=True)
class Tensor:
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    name: str = "t"


SHARES = Quantization(scale=1 / 256, zero_point=0)
IMAGE = Tensor((1, 224, 224, 3), "uint8", Quantization(scale=1 / 128, zero_point=128))
SCORES = Tensor((1, 1001), "uint8", SHARES)
WANTED = InputContract(
    height_px=224, width_px=224, channels=3, dtype=Dtype.UINT8, quantization=IMAGE.quantization
)
GIVEN = OutputContract(classes=1001, dtype=Dtype.UINT8, quantization=SHARES)


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ([IMAGE, IMAGE], [SCORES], "2 inputs and 1 output"),
        ([IMAGE], [], "1 input and 0 outputs"),
        ([Tensor((1, 3), "uint8")], [SCORES], "1 x height x width"),
        ([Tensor((), "uint8")], [SCORES], "input is dynamic uint8"),
        ([Tensor((2, 8, 8, 3), "uint8")], [SCORES], "1 x height x width"),
        ([Tensor((1, 8, 8, 4), "uint8")], [SCORES], "1 x height x width"),
        ([Tensor((1, 0, 8, 3), "uint8")], [SCORES], "1 x height x width"),
        ([Tensor((1, 3, 224, 224), "float32")], [SCORES], "channels first"),
        ([Tensor((1, 8, 8, 3), "int64")], [SCORES], "int64; an image is one of"),
        ([Tensor((1, 8, 8, 3), "int16")], [SCORES], "without a scale"),
        ([Tensor((1, 60000, 8, 3), "uint8")], [SCORES], "at most 8192 px a side"),
        (
            [Tensor((1, 8, 8, 3), "uint8", Quantization(scale=math.nan, zero_point=0))],
            [SCORES],
            "a scale of nan",
        ),
        (
            [Tensor((1, 8, 8, 3), "int8", Quantization(scale=math.inf, zero_point=0))],
            [SCORES],
            "a scale of inf",
        ),
        ([Tensor((1, 8, 8, 3), "uint8", Quantization(scale=-1.0, zero_point=0))], [SCORES], "a scale of -1"),
        (
            [Tensor((1, 8, 8, 3), "uint8", Quantization(scale=1.0, zero_point=4000))],
            [SCORES],
            "4000, which is outside 0 to 255",
        ),
        ([IMAGE], [Tensor((1, 5), "int8", Quantization(scale=0.0, zero_point=0))], "a scale of 0"),
        ([IMAGE], [Tensor((1, 5), "int8", Quantization(scale=0.1, zero_point=128))], "outside -128 to 127"),
        ([IMAGE], [Tensor((1, 19, 91), "float32")], "scores are 1 x classes"),
        ([IMAGE], [Tensor((), "float32")], "output is dynamic"),
        ([IMAGE], [Tensor((1, 5), "int64")], "scores are one of"),
        ([IMAGE], [Tensor((1, 5), "uint8")], "without a scale"),
    ],
)
def test_what_is_no_classifier_is_told_why(inputs, outputs, words):
    fault = contract.not_a_classifier(inputs, outputs)

    assert fault is not None
    assert fault.startswith("not a classifier: ")
    assert words in fault


@pytest.mark.parametrize(
    ("image", "scores"),
    [
        (IMAGE, SCORES),
        (Tensor((1, 28, 28), "uint8"), Tensor((10,), "float32")),
        (Tensor((1, 96, 128, 1), "int8"), Tensor((1, 1, 1, 5), "int8", SHARES)),
        (Tensor((1, 8, 8, 3), "float16"), Tensor((1, 1), "float32")),
    ],
)
def test_classifiers_of_all_kinds_are_accepted(image, scores):
    assert contract.not_a_classifier([image], [scores]) is None


def _facts(image, scores, **others):
    return flatmodel.examine(classifier(image, scores, **others))


UINT8 = Form((1, 2, 2, 3), "uint8", 1 / 128, 128)
OUT = Form((1, 12), "uint8", 1 / 256, 0)


def test_a_contract_is_read_off_the_file():
    assert contract.infer(_facts(UINT8, OUT), Fit.LETTERBOX) == (
        InputContract(
            height_px=2,
            width_px=2,
            channels=3,
            dtype=Dtype.UINT8,
            fit=Fit.LETTERBOX,
            quantization=Quantization(scale=1 / 128, zero_point=128),
        ),
        OutputContract(classes=12, dtype=Dtype.UINT8, quantization=SHARES),
    )


def test_a_model_that_is_no_classifier_has_no_contract():
    with pytest.raises(Malformed, match="not a classifier"):
        contract.infer(_facts(Form((1, 12), "uint8", 1 / 128, 128), OUT))


@pytest.mark.parametrize(
    ("content", "activation"),
    [
        (classifier(UINT8, OUT), Activation.PROBABILITIES),
        (classifier(UINT8, Form((1, 12), "uint8", 1 / 128, 128), softmax=False), Activation.LOGITS),
        (classifier(UINT8, OUT, softmax=False), Activation.PROBABILITIES),
        (edgetpu(UINT8, OUT), Activation.PROBABILITIES),
        (edgetpu(UINT8, Form((1, 12), "int8", 1 / 256, -128)), Activation.PROBABILITIES),
        (edgetpu(UINT8, Form((1, 12), "int8", 0.1, 3)), Activation.LOGITS),
        (classifier(Form((1, 2, 2, 3), "float32"), Form((1, 12), "float32")), Activation.PROBABILITIES),
        (
            classifier(Form((1, 2, 2, 3), "float32"), Form((1, 12), "float32"), softmax=False),
            Activation.LOGITS,
        ),
    ],
)
def test_logits_are_told_from_probabilities_by_the_last_operator_or_the_scale(content, activation):
    assert contract.infer(flatmodel.examine(content))[1].activation is activation


@pytest.mark.parametrize(
    ("image", "mean", "std", "kept"),
    [
        (UINT8, (127.5,), (127.5,), False),
        (Form((1, 2, 2, 3), "int8", 1 / 127.5, -1), (127.5,), (127.5,), False),
        (Form((1, 2, 2, 3), "uint8", 1 / 255, 0), (0.0,), (1.0,), True),
        (UINT8, (103.0, 116.0, 123.0), (1.0, 1.0, 1.0), True),
        (Form((1, 2, 2, 3), "float32"), (127.5,), (127.5,), True),
    ],
)
def test_a_declared_normalization_counts_where_it_differs_from_the_raw_bytes(image, mean, std, kept):
    metadata = {"TFLITE_METADATA": card(Card(mean=mean, std=std))}
    scores = Form((1, 12), image.dtype, image.scale and 1 / 256, {"int8": -128}.get(image.dtype, 0))

    found = contract.infer(_facts(image, scores, metadata=metadata))[0].normalization

    assert (found is not None) == kept


def test_a_model_as_declared_has_no_fault():
    assert contract.compare(WANTED, GIVEN, IMAGE, SCORES) is None
    short = replace(WANTED, quantization=Quantization(scale=0.0078125001, zero_point=128))
    assert contract.compare(short, GIVEN, IMAGE, SCORES) is None
    assert contract.compare(replace(WANTED, quantization=None), GIVEN, IMAGE, SCORES) is None


@pytest.mark.parametrize(
    ("wanted", "given_", "words"),
    [
        (
            replace(WANTED, height_px=192),
            GIVEN,
            "height x width: the manifest says (192, 224), the model has (224, 224)",
        ),
        (replace(WANTED, channels=1), GIVEN, "input channels: the manifest says 1, the model has 3"),
        (replace(WANTED, dtype=Dtype.INT8), GIVEN, "input type: the manifest says int8, the model has uint8"),
        (
            replace(WANTED, quantization=SHARES),
            GIVEN,
            "input quantization: the manifest says scale 0.00390625",
        ),
        (WANTED, replace(GIVEN, classes=1000), "classes: the manifest says 1000, the model has 1001"),
        (WANTED, replace(GIVEN, dtype=Dtype.FLOAT32), "output type"),
        (replace(WANTED, normalization=Normalization(mean=(1.0, 2.0), std=(1.0, 1.0))), GIVEN, "2 means"),
        (replace(WANTED, normalization=Normalization(mean=(1.0,), std=(0.0,))), GIVEN, "no deviation 0"),
    ],
)
def test_each_difference_is_told_in_words(wanted, given_, words):
    fault = contract.compare(wanted, given_, IMAGE, SCORES)

    assert fault is not None
    assert words in fault


def test_all_differences_are_told_at_once():
    fault = contract.compare(replace(WANTED, width_px=1), replace(GIVEN, classes=2), IMAGE, SCORES)

    assert fault is not None
    assert fault.count(";") == 1


def test_a_normalization_needs_a_scale_on_integer_inputs():
    bare = Tensor((1, 224, 224, 3), "uint8")
    wanted = replace(WANTED, quantization=None, normalization=Normalization(mean=(1.0,), std=(1.0,)))

    assert "no scale" in str(contract.compare(wanted, GIVEN, bare, SCORES))
