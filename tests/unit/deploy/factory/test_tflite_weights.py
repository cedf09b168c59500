"""The modes that touch only weights, on a file that is made on the spot and run by LiteRT."""

import sys

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as flat
from ai_edge_litert.interpreter import Interpreter

from agent.core.tflite import flatmodel
from agent.core.tflite.flatmodel import Arithmetic
from deploy.core.refusal import Refused
from deploy.factory.sources import tflite_weights

INPUTS, OUTPUTS = 64, 48


def dense(weights, shared=1, metadata=()):
    """As many dense layers over the same input as `shared`, all with the same weights."""
    model = flat.ModelT()
    model.version, model.description = 3, b"made"
    model.buffers = [flat.BufferT(), flat.BufferT()]
    model.buffers[1].data = np.frombuffer(weights.astype(np.float32).tobytes(), np.uint8)
    graph = flat.SubGraphT()
    graph.tensors = [_tensor("x", (1, INPUTS), 0), _tensor("w", weights.shape, 1)]
    graph.tensors += [_tensor(f"y{index}", (1, OUTPUTS), 0) for index in range(shared)]
    graph.inputs, graph.outputs = [0], list(range(2, 2 + shared))
    graph.operators = [_dense(2 + index) for index in range(shared)]
    model.subgraphs = [graph]
    code = flat.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = flat.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    model.operatorCodes = [code]
    model.metadata = [_entry(name) for name in metadata]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _tensor(name, shape, buffer):
    tensor = flat.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name.encode(), list(shape), buffer
    tensor.type = flat.TensorType.FLOAT32
    return tensor


def _dense(output):
    operator = flat.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, -1], [output]
    operator.builtinOptionsType = flat.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = flat.FullyConnectedOptionsT()
    return operator


def _entry(name):
    entry = flat.MetadataT()
    entry.name, entry.buffer = name, 0
    return entry


def answers(content, given):
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
    interpreter.invoke()
    return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]


@pytest.fixture
def weights():
    return np.random.default_rng(1).normal(size=(OUTPUTS, INPUTS))


@pytest.fixture
def given():
    return np.random.default_rng(2).uniform(-1, 1, (1, INPUTS)).astype(np.float32)


@pytest.mark.parametrize(
    ("mode", "arithmetic", "share", "error"),
    [
        (tflite_weights.float16, Arithmetic.FLOAT16, 0.6, 0.005),
        (tflite_weights.dynamic, Arithmetic.DYNAMIC, 0.4, 0.1),
    ],
)
@pytest.mark.parametrize("shared", [1, 3])
def test_weights_shrink_and_the_answers_stay_near(mode, arithmetic, share, error, shared, weights, given):
    content = dense(weights, shared)
    made = mode(content)
    assert flatmodel.examine(made).arithmetic is arithmetic
    assert len(made) <= share * len(content)
    for found, wanted in zip(answers(made, given), answers(content, given), strict=True):
        assert np.abs(found - wanted).max() < error


@pytest.mark.parametrize("mode", [tflite_weights.float16, tflite_weights.dynamic])
def test_the_same_file_gives_the_same_bytes(mode, weights):
    assert mode(dense(weights)) == mode(dense(weights))


def test_few_weights_stay_in_float():
    content = dense(np.ones((OUTPUTS, INPUTS))[:8])
    assert flatmodel.examine(tflite_weights.dynamic(content)).arithmetic is Arithmetic.FLOAT32


def test_weights_of_zero_stay_zero(given):
    (found,) = answers(tflite_weights.dynamic(dense(np.zeros((OUTPUTS, INPUTS)))), given)
    assert not found.any()


def test_a_weight_beyond_sixteen_bits_is_refused_with_its_size(weights):
    weights[0, 0] = 1e6
    with pytest.raises(Refused, match=r"float16 holds no more than 65504, and w reaches 1e\+06"):
        tflite_weights.float16(dense(weights))


def test_constants_that_were_to_be_kept_in_another_dialect_are_plain(weights):
    content = dense(weights, metadata=(b"keep_stablehlo_constant", b"other"))
    assert flatmodel.examine(tflite_weights.plain(content)).metadata == ("other",)
    assert tflite_weights.plain(dense(weights)) == dense(weights)


def test_weights_shrink_without_tensorflow():
    """Whose libraries, in a process of tests, break those of the runtimes."""
    assert tflite_weights.__name__ in sys.modules
    assert "tensorflow" not in sys.modules
