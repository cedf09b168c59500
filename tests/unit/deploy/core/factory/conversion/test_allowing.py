import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from deploy.core.factory.conversion import allowing
from deploy.core.factory.conversion.words import Convert, Quantize
from deploy.core.factory.words import Representative, Source, SourceKind
from deploy.core.refusal import Refused
from tests.fakes.tflite import CUSTOM, RESHAPE, SOFTMAX, Form, Operator, Sketch, build, dense


def sketch(*, dtype: str = "int8", custom: str = "") -> bytes:
    """A picture, flattened, then something: SOFTMAX or a custom operator."""
    tensors = (
        Form((1, 2, 2, 3), "int8", 1 / 128),
        Form((1, 12), "int8", 1 / 128),
        Form((1, 12), dtype, 0.0 if dtype == "float32" else 1 / 256, name="tower/last;rest"),
    )
    last = Operator(CUSTOM, (1,), (2,), custom) if custom else Operator(SOFTMAX, (1,), (2,))
    return build(Sketch(tensors, (Operator(RESHAPE, (0,), (1,)), last)))


def order(quantize: Quantize, **more: object) -> Convert:
    return Convert(
        source=Source(kind=SourceKind.KERAS, place="/birds.keras"),
        quantize=quantize,
        out="/birds.tflite",
        representative=(Representative(place="/photographs"),),
        **more,
    )


@pytest.mark.parametrize("mode", [Quantize.INT8, Quantize.UINT8, Quantize.INT16X8])
def test_a_full_integer_mode_refuses_an_operator_that_the_converter_left_in_float(mode: Quantize) -> None:
    with pytest.raises(Refused, match=r"no integer form of SOFTMAX \(at tower/last\): --float-fallback"):
        allowing.examine(order(mode), sketch(dtype="float32"))


def with_a_body(main: bytes, body: bytes) -> bytes:
    """The main graph of the one file, and that of the other behind it, as an operator's loop would be."""
    model, other = (schema.ModelT.InitFromPackedBuf(bytearray(each), 0) for each in (main, body))
    model.subgraphs.append(other.subgraphs[0])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_an_operator_that_computes_in_float_is_found_in_the_body_of_a_loop() -> None:
    with pytest.raises(Refused, match=r"SOFTMAX \(at tower/last\)"):
        allowing.examine(order(Quantize.INT8), with_a_body(sketch(), sketch(dtype="float32")))


@pytest.mark.parametrize(
    "told", [order(Quantize.INT8, float_fallback=True), order(Quantize.INT8_FLOAT_IO)], ids=["asked", "mode"]
)
def test_a_float_operator_that_may_be_there_is_said(told: Convert) -> None:
    assert "in float because it has no integer form: SOFTMAX" in " ".join(
        allowing.examine(told, sketch(dtype="float32"))
    )


@pytest.mark.parametrize("mode", [Quantize.INT8, Quantize.UINT8, Quantize.INT8_FLOAT_IO])
def test_a_full_integer_model_needs_no_word(mode: Quantize) -> None:
    assert allowing.examine(order(mode), sketch()) == ()


@pytest.mark.parametrize(
    ("custom", "given"),
    [
        ("FlexErf", {"select_tf": ("Lgamma",)}),
        ("MyOwn", {"custom": ("Other",)}),
        ("MyOwn", {"select_tf": ("MyOwn",)}),
    ],
)
def test_an_operator_that_nobody_named_is_refused(custom: str, given: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(Refused, match=f"not named: {custom.removeprefix('Flex')}; --"):
        allowing.examine(order(Quantize.INT8, **given), sketch(custom=custom))


@pytest.mark.parametrize(
    ("custom", "given"), [("FlexErf", {"select_tf": ("Erf",)}), ("MyOwn", {"custom": ("MyOwn",)})]
)
def test_an_operator_that_was_named_stays_and_is_said(custom: str, given: dict[str, tuple[str, ...]]) -> None:
    remarks = allowing.examine(order(Quantize.INT8, **given), sketch(custom=custom))

    assert remarks == (f"it holds {custom}, which no device of Shoal runs",)


@pytest.mark.parametrize(("version", "said"), [(9, False), (12, True)])
def test_what_tflite_runtime_does_not_run_is_said_with_the_operator(version: int, said: bool) -> None:
    remarks = " ".join(allowing.examine(order(Quantize.DYNAMIC), dense(version)))

    assert ("FULLY_CONNECTED version 12" in remarks) is said


def test_a_dynamic_model_without_a_quantized_weight_says_so() -> None:
    plain = build(
        Sketch((Form((1, 4), "float32"), Form((1, 4), "float32")), (Operator(SOFTMAX, (0,), (1,)),))
    )

    assert "nothing was quantized" in " ".join(allowing.examine(order(Quantize.DYNAMIC), plain))
