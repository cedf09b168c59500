"""The few operators behind an embedding that make a classifier of it, in float and in versions that every
runtime knows.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.core.tflite.flatbuild import Kind, Number, Table
from agent.core.tflite.flatgraph import Graph, Operator, Tensor
from agent.wire.errors import Malformed

UNIT: Final = "L2_NORMALIZATION"
_FLOAT32: Final = 0
_DEQUANTIZE, _FULLY_CONNECTED, _UNIT, _SOFTMAX = 6, 9, 11, 25
_OPTIONS: Final = {_FULLY_CONNECTED: 8, _SOFTMAX: 9, _UNIT: 12}
_DEQUANTIZE_VERSIONS: Final[Mapping[int, int]] = {3: 1, 9: 2}
"""By type: uint8 and int8."""


def with_unit(graph: Graph) -> Graph:
    """The graph with its output in float and at length 1."""
    output = graph.outputs[0]
    tensor = graph.tensors[output]
    if tensor.type != _FLOAT32:
        plain = Tensor(name="embedding", shape=tensor.shape, type=_FLOAT32)
        graph = _continued(graph, _DEQUANTIZE, plain, version=_DEQUANTIZE_VERSIONS[tensor.type])
    made = graph.maker(graph.outputs[0])
    if made is not None and made.name == UNIT:
        return graph
    return _continued(graph, _UNIT, Tensor(name="embedding/unit", shape=tensor.shape, type=_FLOAT32))


def with_classes(
    graph: Graph, weights: NDArray[np.float32], bias: NDArray[np.float32], entries: Mapping[str, bytes]
) -> Graph:
    """The graph with the scores of classes for its output.

    Args:
        graph: with an embedding of D numbers for its output.
        weights: classes x D.
        bias: a number a class.
        entries: named ones of the file to be.
    """
    first = len(graph.tensors)
    constants = (
        Tensor(name="taught/weights", shape=weights.shape, type=_FLOAT32, constant=_bytes(weights)),
        Tensor(name="taught/bias", shape=bias.shape, type=_FLOAT32, constant=_bytes(bias)),
    )
    graph = replace(graph, tensors=(*graph.tensors, *constants), entries=entries)
    logits = Tensor(name="taught/logits", shape=(1, len(bias)), type=_FLOAT32)
    graph = _continued(graph, _FULLY_CONNECTED, logits, constants=(first, first + 1))
    scores = Tensor(name="scores", shape=(1, len(bias)), type=_FLOAT32)
    return _continued(graph, _SOFTMAX, scores)


def classes(graph: Graph) -> NDArray[np.float32]:
    """The weights of the classes of a graph that `with_classes` made: classes x D.

    Raises:
        Malformed: the graph does not end so.
    """
    softmax = graph.maker(graph.outputs[0])
    last = None if softmax is None or not softmax.inputs else graph.maker(softmax.inputs[0])
    weights = None if last is None or len(last.inputs) < 2 else graph.tensors[last.inputs[1]]
    if weights is None or weights.type != _FLOAT32 or len(weights.constant) != 4 * weights.elements:
        raise Malformed("it was taught, and changed by another program since: teach it anew")
    return np.frombuffer(weights.constant, "<f4").reshape(weights.shape).astype(np.float32)


def _bytes(array: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(array, "<f4").tobytes()


def _continued(
    graph: Graph, code: int, output: Tensor, *, constants: tuple[int, ...] = (), version: int = 1
) -> Graph:
    place = len(graph.tensors)
    operator = Operator(
        code=code,
        version=version,
        inputs=(graph.outputs[0], *constants),
        outputs=(place,),
        # The softmax multiplies with its beta, whose default in the schema is 0.
        options=Table({0: Number(Kind.F32, 1.0)} if code == _SOFTMAX else {}) if code in _OPTIONS else None,
        options_kind=_OPTIONS.get(code, 0),
    )
    return replace(
        graph,
        tensors=(*graph.tensors, output),
        operators=(*graph.operators, operator),
        outputs=(place,),
    )
