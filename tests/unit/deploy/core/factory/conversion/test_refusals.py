import pytest

from deploy.core.factory.conversion import refusals
from deploy.core.factory.conversion.refusals import Placed
from deploy.core.factory.conversion.words import Quantize

ERF = """Could not translate MLIR to FlatBuffer.<unknown>:0: error: loc(callsite(fused["Erf:", \
"tower/Erf@__inference_f_7951"] at fused["PartitionedCall:", "PartitionedCall"])): 'tf.Erf' op is neither a \
custom op nor a flex op
<unknown>:0: error: failed while converting: 'main':
Some ops are not supported by the native TFLite runtime, you can enable TF kernels fallback using TF Select. \
See instructions: https://www.tensorflow.org/lite/guide/ops_select
TF Select ops: Erf, Betainc
Details:
\ttf.Erf(tensor<1x4xf32>) -> (tensor<1x4xf32>) : {device = ""}
"""
CUSTOM = "Some ops in the model are custom ops\nCustom ops: MyOwn\nDetails:\n\ttf.MyOwn()"
HALVES = """TF Select ops: BiasAdd, Conv2D
Details:
\ttf.BiasAdd(tensor<1x30x30x8xf16>, tensor<8xf16>) -> (tensor<1x30x30x8xf16>) : {device = ""}
\ttf.Conv2D(tensor<1x32x32x3xf16>, tensor<3x3x3x8xf16>) -> (tensor<1x30x30x8xf16>) : {device = ""}
"""
MIXED = """TF Select ops: Erf, Mean
Details:
\ttf.Erf(tensor<1x4xf32>) -> (tensor<1x4xf32>) : {device = ""}
\ttf.Mean(tensor<f64>) -> (tensor<f64>) : {device = ""}
"""
LISTS = "Some ops are not supported\nTF Select ops: TensorListReserve, TensorListStack\nDetails:"
WORDS = (
    "Max and min for dynamic tensors should be recorded during calibration: "
    "Failed for tensor serving_default_words:0"
)
NOT_16X8 = (
    "Quantization to 16x8-bit not yet supported for op: 'CEIL'.\n"
    "Quantization to 16x8-bit not yet supported for op: 'FLOOR'.\n"
)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (ERF, ["Erf, Betainc", "at tower/Erf", "--select-tf Erf Betainc leaves them in", "no device"]),
        (CUSTOM, ["MyOwn", "--custom MyOwn"]),
        (HALVES, ["BiasAdd, Conv2D", "compute in float16", "build them in float32"]),
        (MIXED, ["Erf, Mean", "outside"]),
        (WORDS, ["int16x8 takes no input of whole numbers ('words')", "int8"]),
        (LISTS, ["TensorListReserve", "--shape", "unroll=True"]),
        (NOT_16X8, ["CEIL, FLOOR", "int16x8", "--float-fallback"]),
        ("loc(x): something odd\nand more", ["something odd", "mode int16x8"]),
        ("", ["does not say why"]),
    ],
)
def test_a_page_of_mlir_becomes_one_sentence_that_names_operator_and_remedy(
    said: str, words: list[str]
) -> None:
    sentence = refusals.sentence(Quantize.INT16X8, said)

    assert "\n" not in sentence
    assert [word for word in words if word not in sentence] == []


def test_an_endless_message_is_cut() -> None:
    assert len(refusals.sentence(Quantize.NONE, "x" * 10_000)) < 400


def test_float_operators_in_a_full_integer_model_are_named_with_their_layers() -> None:
    found = [Placed(name, f"tower/{name}") for name in ("SIN", "COS", "CEIL", "FLOOR")]

    sentence = refusals.in_float(Quantize.UINT8, found)

    assert "SIN (at tower/SIN), COS (at tower/COS), CEIL (at tower/CEIL) and 1 more" in sentence
    assert "--float-fallback" in sentence
