from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from agent.core.tflite import flatmodel
from deploy.core.factory.edgetpu import rules
from deploy.core.factory.tflite import dataflow
from tests.models import TINY, TINY_FLOAT, TINY_INT8, shared

Change = Callable[[Any], None]


def changed(content: bytes, change: Change) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    change(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def recoded(place: int, operator: int, version: int = 1) -> Change:
    """Another operator at this place of the main graph."""

    def change(model: Any) -> None:
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = operator, min(operator, 127), version
        model.operatorCodes.append(code)
        changing = model.subgraphs[0].operators[place]
        changing.opcodeIndex = len(model.operatorCodes) - 1
        changing.builtinOptionsType, changing.builtinOptions = 0, None

    return change


def placed(content: bytes, runtime: int = 14) -> rules.Placement:
    return rules.place(dataflow.read(content), runtime)


def refusal(content: bytes) -> str | None:
    return rules.refusal(flatmodel.examine(content), dataflow.read(content))


@pytest.mark.parametrize(
    ("model", "runtime"),
    [
        ("mobilenet_v1_0.25_128_quant.tflite", 10),
        ("mobilenet_v2_1.0_224_quant.tflite", 10),
        ("keras_lstm_mnist_ptq.tflite", 14),
    ],
)
def test_what_coral_compiled_into_one_operator_is_foreseen_as_wholly_mapped(model: str, runtime: int) -> None:
    twin = dataflow.read(shared(model.replace(".tflite", "_edgetpu.tflite")).read_bytes())
    assert [operator.name for operator in twin.operators] == ["edgetpu-custom-op"]
    content = shared(model).read_bytes()

    found = placed(content, runtime)

    assert refusal(content) is None
    assert (found.cut, found.mapped) == (None, found.operators)
    assert found.streamed_bytes == 0


def test_an_lstm_is_cut_off_where_the_runtime_is_older_than_it() -> None:
    found = placed(shared("keras_lstm_mnist_ptq.tflite").read_bytes(), 13)

    assert found.cut is not None
    assert found.cut.operator == "UNIDIRECTIONAL_SEQUENCE_LSTM"
    assert "since version 14" in found.cut.reason


def test_everything_after_the_first_operator_that_is_not_taken_stays_on_the_cpu() -> None:
    content = changed(shared(TINY_INT8).read_bytes(), recoded(10, schema.BuiltinOperator.HARD_SWISH))

    found = placed(content)

    assert found.cut is not None
    assert (found.cut.index, found.cut.operator, found.mapped) == (10, "HARD_SWISH", 10)
    assert "RELU6" in found.cut.instead
    assert len(found.unsupported) == 1
    assert 0 < found.parameter_bytes < placed(shared(TINY_INT8).read_bytes()).parameter_bytes


def test_float_ends_cut_nothing() -> None:
    found = placed(shared("derived_mobilenet_v1_0.25_128_int8_floatio.tflite").read_bytes())

    assert found.cut is None
    assert found.operators - found.mapped == 2


def set_dilation(model: Any) -> None:
    model.subgraphs[0].operators[0].builtinOptions.dilationWFactor = 2


def fuse_pool(model: Any) -> None:
    pool = next(
        o for o in model.subgraphs[0].operators if isinstance(o.builtinOptions, schema.Pool2DOptionsT)
    )
    pool.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU


def make_deep(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[0].outputs[0]].shape = np.array([2, 64, 64, 8], np.int32)


def make_wide_integers(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[0].outputs[0]].type = schema.TensorType.INT16


def forget_weights(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[0].inputs[1]].buffer = 0


def widen_softmax(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[-1].inputs[0]].shape = np.array([1, 16_001], np.int32)


def slope_each_pixel(model: Any) -> None:
    """The first convolution becomes a PRELU whose slopes are its weights, 8 x 3 x 3 x 3."""
    recoded(0, schema.BuiltinOperator.PRELU)(model)


def pad_the_batch(model: Any) -> None:
    recoded(0, schema.BuiltinOperator.PAD)(model)
    graph = model.subgraphs[0]
    paddings = graph.tensors[graph.operators[0].inputs[1]]
    paddings.type, paddings.shape = schema.TensorType.INT32, np.array([4, 2], np.int32)
    model.buffers.append(schema.BufferT())
    paddings.buffer = len(model.buffers) - 1
    model.buffers[-1].data = np.frombuffer(np.array([0, 1, 0, 0, 0, 0, 0, 0], "<i4").tobytes(), np.uint8)


@pytest.mark.parametrize(
    ("change", "operator", "reason"),
    [
        (set_dilation, "CONV_2D", "dilation is 2 in x and 1 in y"),
        (fuse_pool, "AVERAGE_POOL_2D", "fused activation"),
        (make_deep, "CONV_2D", "2 x 64 x 64 x 8"),
        (make_wide_integers, "CONV_2D", "int16"),
        (forget_weights, "CONV_2D", "must be constants"),
        (widen_softmax, "SOFTMAX", "16001 elements"),
        (slope_each_pixel, "PRELU", "one a channel"),
        (pad_the_batch, "PAD", "pads the batch"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_each_documented_limit_is_told(change: Change, operator: str, reason: str) -> None:
    found = placed(changed(shared(TINY_INT8).read_bytes(), change))

    assert found.cut is not None
    assert found.cut.operator == operator
    assert reason in found.cut.reason


def open_reshape(model: Any) -> None:
    graph = model.subgraphs[0]
    reshape = schema.BuiltinOperator.RESHAPE
    found = next(o for o in graph.operators if model.operatorCodes[o.opcodeIndex].builtinCode == reshape)
    found.inputs = np.array([found.inputs[0], graph.inputs[0]], np.int32)


def add_custom(model: Any) -> None:
    recoded(5, schema.BuiltinOperator.CUSTOM)(model)
    model.operatorCodes[-1].customCode = b"Atan"


@pytest.mark.parametrize(
    ("model", "change", "said"),
    [
        (TINY_FLOAT, None, "float32 model"),
        ("derived_mobilenet_v1_0.25_128_dynrange.tflite", None, "dynamic-range model"),
        ("mobilenet_v1_0.25_128_quant_edgetpu.tflite", None, "already"),
        (TINY_INT8, recoded(5, schema.BuiltinOperator.QUANTIZE, 3), "QUANTIZE of version 3"),
        (TINY_INT8, recoded(5, schema.BuiltinOperator.FULLY_CONNECTED, 12), "FULLY_CONNECTED of version 12"),
        (TINY_INT8, add_custom, "custom operator Atan"),
        (TINY_INT8, open_reshape, "fix the batch"),
    ],
)
def test_what_the_compiler_would_refuse_is_refused_before(
    model: str, change: Change | None, said: str
) -> None:
    content = shared(model).read_bytes()

    told = refusal(content if change is None else changed(content, change))

    assert told is not None
    assert said in told


def give_each_channel_a_scale(model: Any) -> None:
    graph = model.subgraphs[0]
    dense = next(o for o in graph.operators if isinstance(o.builtinOptions, schema.FullyConnectedOptionsT))
    weights = graph.tensors[dense.inputs[1]]
    weights.quantization.scale = np.full(weights.shape[0], 0.01, np.float32)


def test_a_dense_layer_of_many_scales_is_doubted() -> None:
    content = shared("keras_lstm_mnist_ptq.tflite").read_bytes()

    told = rules.doubt(dataflow.read(changed(content, give_each_channel_a_scale)))

    assert rules.doubt(dataflow.read(content)) is None
    assert told is not None
    assert "--edgetpu" in told


def widen_the_sequence(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[1].inputs[0]].shape = np.array([1, 5, 1280], np.int32)


@pytest.mark.parametrize(
    ("model", "change", "said"),
    [
        ("keras_lstm_mnist_ptq.tflite", widen_the_sequence, "takes 1280 numbers a step"),
        (TINY_INT8, recoded(5, schema.BuiltinOperator.RESIZE_BILINEAR), "for its size"),
    ],
)
def test_what_only_the_compiler_knows_by_its_sizes_is_doubted(model: str, change: Change, said: str) -> None:
    content = shared(model).read_bytes()

    assert said in (rules.doubt(dataflow.read(changed(content, change))) or "")
    assert rules.doubt(dataflow.read(content)) is None


def test_part_of_a_layer_normalization_is_no_advice_about_its_operators() -> None:
    def normalize(model: Any) -> None:
        recoded(3, schema.BuiltinOperator.NEG)(model)
        graph = model.subgraphs[0]
        graph.tensors[graph.operators[3].outputs[0]].name = b"net/layer_normalization_1/Neg"

    found = placed(changed(shared(TINY_INT8).read_bytes(), normalize))

    assert found.cut is not None
    assert "batch normalization" in found.cut.instead


def test_parameters_beyond_the_chip_are_sent_at_each_inference() -> None:
    assert rules.Placement(1, 1, None, (), 9 * 1024**2).streamed_bytes == 1024**2


def test_uint8_is_taken_as_int8_is() -> None:
    assert placed(shared(TINY).read_bytes()).cut is None
