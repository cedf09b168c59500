"""Makes 16-bit constants the 32-bit constants that DEQUANTIZE would make of them on a device.

They are the very same numbers, since each half is a float exactly. Of few of them it makes a smaller file:
the operator and the tensor that widen them take more than their other halves.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

FEW: Final = 48
"""Numbers; the operator and its tensor take about 100 bytes, and each number two more."""
_NONE: Final = -1
"""In the place of an optional input that is not given."""


def widen(model: Any, count_max: int | None) -> None:
    """
    Args:
        model: as the schema's objects; changed in place. Buffers that nobody reads any more stay.
        count_max: constants of more numbers stay; None: none do.
    """
    for number, graph in enumerate(model.subgraphs):
        gone = _widened(graph, model, count_max)
        if gone:
            entries = [each for each in model.signatureDefs or () if each.subgraphIndex == number]
            _drop(gone, graph, entries)
    _drop_codes(model)


def _widened(graph: Any, model: Any, count_max: int | None) -> set[int]:
    """The 16-bit tensors that nobody reads any more."""
    readers = Counter(int(place) for operator in graph.operators or () for place in operator.inputs)
    ends = {int(place) for places in (graph.inputs, graph.outputs) if places is not None for place in places}
    gone, kept = set(), []
    for operator in graph.operators or ():
        source = int(operator.inputs[0]) if _dequantizes(operator, model) else _NONE
        touched = {source, *map(int, operator.outputs)}
        count = 0 if source == _NONE else _count(graph.tensors[source], model)
        if not 0 < count <= (count_max or count) or readers[source] > 1 or touched & ends:
            kept.append(operator)
            continue
        _become(graph.tensors[operator.outputs[0]], graph.tensors[source], model)
        gone.add(source)
    graph.operators = kept
    return gone


def _dequantizes(operator: Any, model: Any) -> bool:
    code = model.operatorCodes[operator.opcodeIndex].builtinCode
    return bool(code == schema.BuiltinOperator.DEQUANTIZE)


def _count(tensor: Any, model: Any) -> int:
    """Of its numbers; 0 where it is no 16-bit constant."""
    data = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT16 or data is None:
        return 0
    return len(data) // np.dtype(np.float16).itemsize


def _become(wide: Any, source: Any, model: Any) -> None:
    halves = np.frombuffer(bytes(model.buffers[source.buffer].data), "<f2")
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(halves.astype("<f4").tobytes(), np.uint8)
    model.buffers.append(buffer)
    wide.buffer, wide.name = len(model.buffers) - 1, source.name


def _drop(gone: set[int], graph: Any, signatures: Iterable[Any]) -> None:
    kept = [place for place in range(len(graph.tensors)) if place not in gone]
    now = {_NONE: _NONE} | {place: new for new, place in enumerate(kept)}
    graph.tensors = [graph.tensors[place] for place in kept]
    graph.inputs, graph.outputs = _moved(graph.inputs, now), _moved(graph.outputs, now)
    for operator in graph.operators:
        operator.inputs, operator.outputs = _moved(operator.inputs, now), _moved(operator.outputs, now)
        operator.intermediates = _moved(operator.intermediates, now)
    for signature in signatures:
        for end in (*(signature.inputs or ()), *(signature.outputs or ())):
            end.tensorIndex = now[end.tensorIndex]


def _moved(places: Sequence[int] | None, now: Mapping[int, int]) -> list[int] | None:
    return None if places is None else [now[int(place)] for place in places]


def _drop_codes(model: Any) -> None:
    """A runtime looks for every operator of the list, whether the graphs have it or not."""
    operators = [operator for graph in model.subgraphs for operator in graph.operators or ()]
    kept = sorted({operator.opcodeIndex for operator in operators})
    now = {old: new for new, old in enumerate(kept)}
    model.operatorCodes = [model.operatorCodes[place] for place in kept]
    for operator in operators:
        operator.opcodeIndex = now[operator.opcodeIndex]
