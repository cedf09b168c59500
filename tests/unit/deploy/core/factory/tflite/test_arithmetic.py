from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from agent.wire.errors import Malformed
from deploy.core.factory.edgetpu import rules
from deploy.core.factory.tflite import arithmetic, dataflow
from tests.models import TINY, TINY_FLOAT, shared


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        # "MobileNets" (arXiv 1704.04861) and "MobileNetV2" (1801.04381) count 14 and 300 million.
        (TINY, 13.57),
        (TINY_FLOAT, 13.57),
        ("mobilenet_v2_1.0_224_quant.tflite", 300.8),
        # Four gates of 20 units over 28 steps, each over 28 inputs and 20 outputs; then 28 x 20 x 10.
        ("keras_lstm_mnist_ptq.tflite", (28 * 4 * 20 * 48 + 28 * 20 * 10) / 1e6),
    ],
)
def test_multiplications_are_those_that_the_papers_count(name: str, millions: float) -> None:
    flow = dataflow.read(shared(name).read_bytes())

    assert arithmetic.multiplications(flow) / 1e6 == pytest.approx(millions, rel=0.01)


def product(kind: int, sizes: list[list[int]]) -> bytes:
    """One operator between two inputs and an output of these sizes."""
    model, graph, code, operator = (
        schema.ModelT(),
        schema.SubGraphT(),
        schema.OperatorCodeT(),
        schema.OperatorT(),
    )
    code.builtinCode, code.deprecatedBuiltinCode = kind, min(kind, 127)
    graph.tensors = []
    for shape in sizes:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = b"t", np.array(shape, np.int32), 0
        graph.tensors.append(tensor)
    operator.opcodeIndex, operator.inputs = 0, np.array([0, 1], np.int32)
    operator.outputs = np.array([2], np.int32)
    graph.inputs, graph.outputs, graph.operators = np.array([0, 1], np.int32), operator.outputs, [operator]
    model.version, model.subgraphs, model.operatorCodes, model.buffers = (
        3,
        [graph],
        [code],
        [schema.BufferT()],
    )
    builder = flatbuffers.Builder(1 << 12)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("kind", "sizes", "count"),
    [
        pytest.param(
            "CONV_3D", [[1, 8, 16, 16, 2], [3, 3, 3, 2, 4], [1, 6, 14, 14, 4]], 6 * 14 * 14 * 4 * 54, id="3D"
        ),
        pytest.param(
            "BATCH_MATMUL", [[1, 2, 16, 32], [1, 2, 32, 5], [1, 2, 16, 5]], 2 * 16 * 32 * 5, id="product"
        ),
        pytest.param(
            "BATCH_MATMUL", [[1, 2, 32, 16], [1, 2, 5, 32], [1, 2, 16, 5]], 2 * 16 * 32 * 5, id="turned"
        ),
    ],
)
def test_solid_convolutions_and_products_of_matrices_are_counted(
    kind: str, sizes: list[list[int]], count: int
) -> None:
    flow = dataflow.read(product(getattr(schema.BuiltinOperator, kind), sizes))

    assert arithmetic.multiplications(flow) == count


def scaled(channels: int) -> bytes:
    """A convolution of eight channels, multiplied by so many constants."""

    def tensor(name: bytes, shape: list[int], buffer: int) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name, np.array(shape, np.int32), buffer
        made.type = schema.TensorType.FLOAT32
        return made

    def code(builtin: int) -> Any:
        made = schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = builtin
        return made

    def operator(index: int, inputs: list[int], outputs: list[int]) -> Any:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = index, np.array(inputs, np.int32), np.array(outputs)
        return made

    def buffer(elements: int) -> Any:
        made = schema.BufferT()
        made.data = np.zeros(4 * elements, np.uint8) if elements else None
        return made

    graph = schema.SubGraphT()
    graph.tensors = [
        tensor(b"image", [1, 4, 4, 3], 0),
        tensor(b"weights", [8, 1, 1, 3], 1),
        tensor(b"sums", [1, 4, 4, 8], 0),
        tensor(b"gamma", [channels], 2),
        tensor(b"normalized", [1, 4, 4, 8], 0),
    ]
    graph.inputs, graph.outputs = np.array([0]), np.array([4])
    graph.operators = [operator(0, [0, 1], [2]), operator(1, [2, 3], [4])]
    model = schema.ModelT()
    model.version, model.subgraphs = 3, [graph]
    model.operatorCodes = [code(schema.BuiltinOperator.CONV_2D), code(schema.BuiltinOperator.MUL)]
    model.buffers = [buffer(0), buffer(24), buffer(channels)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(("channels", "layers"), [(8, ("normalized",)), (1, ())])
def test_a_batch_normalization_that_was_not_folded_is_found(channels: int, layers: tuple[str, ...]) -> None:
    flow = dataflow.read(scaled(channels))

    assert arithmetic.unfolded(flow) == layers
    assert arithmetic.multiplications(flow) == 4 * 4 * 8 * 3


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\x08\0\0\0TFL3" + b"\xff" * 40])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed):
        dataflow.read(content)


def test_a_damaged_model_is_refused_or_read_but_never_breaks_the_reader() -> None:
    whole = bytearray(shared(TINY).read_bytes())
    noise = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        # The structure lies in the last part of these files.
        for place in noise.integers(len(whole) - 45_000, len(whole) - 22_000, 3):
            damaged[place] ^= int(noise.integers(1, 256))
        try:
            flow = dataflow.read(bytes(damaged))
            arithmetic.multiplications(flow)
            rules.place(flow)
        except Malformed:
            continue
