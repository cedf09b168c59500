"""Where in a network the last thing is that it knows of a picture before it names a class."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.core.tflite import flatops
from agent.core.tflite.flatgraph import Graph, Operator, needed
from agent.wire.errors import Malformed

DIMENSIONS_MIN: Final = 16
"""Fewer numbers tell no pictures apart."""
_AFTER: Final = frozenset(
    {
        *("SOFTMAX", "LOGISTIC", "LOG_SOFTMAX", "RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE", "CAST"),
        *("ADD", "MUL", "IDENTITY"),
    }
)
"""What may stand between the weights of the classes and the output; ADD and MUL where a bias or a scale is an
operator of its own."""
_SCORES: Final = frozenset({"SOFTMAX", "LOGISTIC", "LOG_SOFTMAX"})
_WEIGHTS: Final = frozenset({"FULLY_CONNECTED", "CONV_2D"})
_TYPES: Final = frozenset({"float32", "int8", "uint8"})


@dataclass(frozen=True, slots=True)
class Embedding:
    tensor: int
    name: str
    dimensions: int


def find(graph: Graph, layer: str | None) -> Embedding:
    """What the class weights are multiplied with, or the tensor that was named.

    An extractor has no class weights: its output is the embedding, unless its last operator multiplies with
    weights too; then what goes into that serves as well.

    Args:
        graph: of one input and one output.
        layer: the name of a tensor; None: found from the end of the graph.

    Raises:
        Malformed: there is none, or not of a form to be used.
    """
    tensor = _before_weights(graph) if layer is None else _named(graph, layer)
    found = graph.tensors[tensor]
    said = f"{found.name} ({' x '.join(map(str, found.shape))} {flatops.type_name(found.type)})"
    if any(size != 1 for size in found.shape[:-1]) or found.elements < DIMENSIONS_MIN:
        raise Malformed(
            f"{said} is no embedding: it must be one row of {DIMENSIONS_MIN} numbers or more;"
            " name another tensor with --layer"
        )
    if flatops.type_name(found.type) not in _TYPES:
        raise Malformed(f"{said} is no embedding: it must be one of {', '.join(sorted(_TYPES))}")
    return Embedding(tensor, found.name, found.elements)


def _before_weights(graph: Graph) -> int:
    tensor, scored = graph.outputs[0], False
    for operator in _backwards(graph):
        if operator.name in _WEIGHTS:
            return operator.inputs[0]
        if operator.name not in _AFTER:
            break
        scored = scored or operator.name in _SCORES
    if scored or graph.maker(tensor) is None:
        raise Malformed(
            "no embedding was found: in front of its scores stands no FULLY_CONNECTED or CONV_2D;"
            " name the tensor with --layer"
        )
    return tensor


def _backwards(graph: Graph) -> Iterator[Operator]:
    """From what makes the output along what is computed, not along constants."""
    operator = graph.maker(graph.outputs[0])
    while operator is not None:
        yield operator
        before = (graph.maker(tensor) for tensor in operator.inputs)
        operator = next((made for made in before if made is not None), None)


def _named(graph: Graph, layer: str) -> int:
    made = {tensor for operator in graph.operators for tensor in operator.outputs}
    by_name = {graph.tensors[index].name: index for index in sorted(made)}
    if layer in by_name:
        return by_name[layer]
    near = difflib.get_close_matches(layer, by_name, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the last one is {next(reversed(by_name), None)!r}"
    raise Malformed(f"no operator makes a tensor {layer!r}; {hint}")


def cut(graph: Graph, embedding: Embedding) -> Graph:
    """Only what computes the embedding.

    Raises:
        Malformed: the picture has no part in it.
    """
    part = needed(graph, (embedding.tensor,))
    if not any(graph.inputs[0] in operator.inputs for operator in part.operators):
        raise Malformed(f"{embedding.name} does not depend on the model's input: name another tensor")
    return part
