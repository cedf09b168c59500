"""A model's one graph taken apart, to be cut, continued and written anew with only what it uses.

What this program does not know the form of it refuses to write: a table copied without its contents would be
a damaged model.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs; fields by their index.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.core.tflite import flatmodel, flatops
from agent.core.tflite.flatbuffer import Table as Found
from agent.core.tflite.flatbuild import (
    Copied,
    Kind,
    Node,
    Number,
    Packed,
    Table,
    Tables,
    blob,
    build,
    numbers,
    text,
)
from agent.wire.errors import Malformed

LEFT_OUT: Final = -1
"""An optional input that is not there."""
_IDENTIFIER: Final = b"TFL3"
_DESCRIPTION: Final = "shoal"
_OLD_CODES: Final = 127
"""The 8-bit field of an operator's number holds this for all numbers beyond it."""
_OPTIONS_KNOWN: Final = 126
_VECTORS_IN_OPTIONS: Final[Mapping[int, frozenset[int]]] = {
    3: frozenset({1, 2}),
    8: frozenset({5}),
    17: frozenset({0}),
    30: frozenset({0}),
    111: frozenset({0, 1}),
    114: frozenset({0, 1}),
    115: frozenset({0}),
}
"""Fields that lie outside of the options' own table, or are wider than it is aligned, by kind of options."""
_INTEGERS_ONLY: Final = frozenset({17, 30})
"""ReshapeOptions and SqueezeOptions: nothing but one vector of integers."""


@dataclass(frozen=True, slots=True)
class Scales:
    """Of a quantized tensor."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    type: int
    """In the schema's numbers, see `flatops.type_name`."""
    constant: bytes = b""
    scales: Scales | None = None
    variable: bool = False
    open_shape: tuple[int, ...] = ()
    """With -1 for sizes that are left open."""
    foreign: str = ""
    """What there is about it that cannot be written, in words."""

    @property
    def elements(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True, slots=True)
class Operator:
    code: int
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    custom: str = ""
    """The name of a custom operator."""
    options: Table | Copied | None = None
    options_kind: int = 0
    custom_options: bytes = b""
    intermediates: tuple[int, ...] = ()
    foreign: str = ""
    """What there is about it that cannot be written, in words."""

    @property
    def name(self) -> str:
        return self.custom or flatops.operator_name(self.code)


@dataclass(frozen=True, slots=True)
class Graph:
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    """In the order in which they run."""
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    entries: Mapping[str, bytes] = field(default_factory=dict)

    def maker(self, tensor: int) -> Operator | None:
        """What computes it; None for inputs and constants."""
        return next((operator for operator in self.operators if tensor in operator.outputs), None)


def opened(content: bytes) -> Graph:
    """
    Raises:
        Malformed: these are not the bytes of a whole TFLite model, or it has several graphs.
    """
    facts = flatmodel.examine(content)
    if facts.subgraphs != 1:
        raise Malformed(f"it has {facts.subgraphs} graphs that call each other; only a single one can be cut")
    model = flatmodel.open_model(content)
    buffers = [buffer.bytes(0) for buffer in model.tables(4)]
    codes = [(max(code.i8(0), code.i32(3)), code.text(1), code.i32(2)) for code in model.tables(1)]
    graph = next(model.tables(2))
    return Graph(
        tensors=tuple(_tensor(tensor, buffers) for tensor in graph.tables(0)),
        operators=tuple(_operator(operator, codes) for operator in graph.tables(3)),
        inputs=_ints(graph, 1),
        outputs=_ints(graph, 2),
        entries={
            entry.text(0): buffers[entry.u32(1)] for entry in model.tables(6) if entry.u32(1) < len(buffers)
        },
    )


def _ints(table: Found, index: int) -> tuple[int, ...]:
    return tuple(int(value) for value in table.ints(index))


def _tensor(tensor: Found, buffers: Sequence[bytes]) -> Tensor:
    quantization = tensor.table(4)
    foreign = "sparse" if tensor.has(6) else "a variant" if tensor.has(9) else ""
    scales = None
    if quantization is not None and quantization.has(2):
        foreign = "quantized in a way of its own" if quantization.u8(4) else foreign
        points = tuple(int(point) for point in quantization.longs(3))
        scales = Scales(quantization.floats(2), points, quantization.i32(6))
    return Tensor(
        name=tensor.text(3),
        shape=_ints(tensor, 0),
        type=tensor.i8(1),
        constant=buffers[tensor.u32(2)] if tensor.u32(2) else b"",
        scales=scales,
        variable=tensor.u8(5) != 0,
        open_shape=_ints(tensor, 7),
        foreign=foreign,
    )


def _operator(operator: Found, codes: Sequence[tuple[int, str, int]]) -> Operator:
    code, custom, version = codes[operator.u32(0)]
    kind, table = operator.u8(3), operator.table(4)
    foreign = "options of a newer form" if operator.has(12) or operator.u64(9) > 1 else ""
    options: Table | Copied | None = None
    if table is not None:
        moving = [index for index in _VECTORS_IN_OPTIONS.get(kind, ()) if table.has(index)]
        if kind in _INTEGERS_ONLY:
            options = Table({0: numbers(Kind.I32, table.ints(0))} if moving else {})
        elif moving or kind > _OPTIONS_KNOWN:
            foreign = "options of a newer form"
        else:
            options = Copied(*table.inline())
    return Operator(
        code=code,
        version=max(1, version),
        inputs=_ints(operator, 1),
        outputs=_ints(operator, 2),
        custom=(custom or "CUSTOM") if code == flatops.CUSTOM else "",
        options=options,
        options_kind=kind if options is not None else 0,
        custom_options=operator.bytes(5),
        intermediates=_ints(operator, 8),
        foreign=foreign,
    )


def needed(graph: Graph, outputs: Iterable[int]) -> Graph:
    """The part of the graph that computes these tensors, as a graph with these outputs."""
    outputs = tuple(outputs)
    wanted, operators = set(outputs), []
    for operator in reversed(graph.operators):
        if not wanted.isdisjoint(operator.outputs):
            operators.append(operator)
            wanted.update(operator.inputs)
    return Graph(graph.tensors, tuple(reversed(operators)), graph.inputs, outputs, graph.entries)


def written(graph: Graph) -> bytes:
    """The .tflite file of the graph, with the tensors that it uses and no others.

    Raises:
        Malformed: something in it has a form that is not known here.
    """
    places = _places(graph)
    used = [graph.tensors[index] for index in places]
    _check_known(used, graph.operators)
    codes = list(dict.fromkeys((each.code, each.custom, each.version) for each in graph.operators))
    constants = [b"", *(tensor.constant for tensor in used if tensor.constant)]
    buffer_of = iter(range(1, len(constants)))
    tensors = [_written_tensor(tensor, next(buffer_of) if tensor.constant else 0) for tensor in used]
    main = Table(
        {
            0: Tables(tensors),
            1: _indices(graph.inputs, places),
            2: _indices(graph.outputs, places),
            3: Tables([_written_operator(operator, codes, places) for operator in graph.operators]),
        }
    )
    entries = [
        Table({0: text(name), 1: Number(Kind.U32, len(constants) + order)})
        for order, name in enumerate(sorted(graph.entries))
    ]
    contents = [*constants, *(graph.entries[name] for name in sorted(graph.entries))]
    return build(
        Table(
            {
                0: Number(Kind.U32, 3),
                1: Tables([_written_code(*code) for code in codes]),
                2: Tables([main]),
                3: text(_DESCRIPTION),
                4: Tables([Table({0: blob(content)} if content else {}) for content in contents]),
                6: Tables(entries),
            }
        ),
        _IDENTIFIER,
    )


def _check_known(tensors: Sequence[Tensor], operators: Sequence[Operator]) -> None:
    faults = [f"tensor {tensor.name} is {tensor.foreign}" for tensor in tensors if tensor.foreign]
    faults += [f"{operator.name} has {operator.foreign}" for operator in operators if operator.foreign]
    if faults:
        raise Malformed(f"{faults[0]}, which cannot be written anew: such a model cannot be cut")


def _places(graph: Graph) -> dict[int, int]:
    """Where each used tensor will stand, by where it stood: inputs first, then as they are met."""
    met: dict[int, None] = dict.fromkeys(graph.inputs)
    for operator in graph.operators:
        met |= dict.fromkeys((*operator.inputs, *operator.intermediates, *operator.outputs))
    met |= dict.fromkeys(graph.outputs)
    met.pop(LEFT_OUT, None)
    return {index: place for place, index in enumerate(met)}


def _indices(tensors: Sequence[int], places: Mapping[int, int]) -> Packed:
    return numbers(Kind.I32, [places.get(index, LEFT_OUT) for index in tensors])


def _written_code(code: int, custom: str, version: int) -> Table:
    fields: dict[int, Number | Node] = {
        0: Number(Kind.I8, min(code, _OLD_CODES)),
        2: Number(Kind.I32, version),
        3: Number(Kind.I32, code),
    }
    if custom:
        fields[1] = text(custom)
    return Table(fields)


def _written_tensor(tensor: Tensor, buffer: int) -> Table:
    fields: dict[int, Number | Node] = {
        0: numbers(Kind.I32, tensor.shape),
        1: Number(Kind.I8, tensor.type),
        2: Number(Kind.U32, buffer),
        3: text(tensor.name),
        8: Number(Kind.U8, 1),
    }
    if tensor.scales is not None:
        fields[4] = _written_scales(tensor.scales)
    if tensor.variable:
        fields[5] = Number(Kind.U8, 1)
    if tensor.open_shape:
        fields[7] = numbers(Kind.I32, tensor.open_shape)
    return Table(fields)


def _written_scales(scales: Scales) -> Table:
    return Table(
        {
            2: numbers(Kind.F32, scales.scales),
            3: numbers(Kind.I64, scales.zero_points),
            6: Number(Kind.I32, scales.axis),
        }
    )


def _written_operator(
    operator: Operator, codes: Sequence[tuple[int, str, int]], places: Mapping[int, int]
) -> Table:
    fields: dict[int, Number | Node] = {
        0: Number(Kind.U32, codes.index((operator.code, operator.custom, operator.version))),
        1: _indices(operator.inputs, places),
        2: _indices(operator.outputs, places),
    }
    if operator.options is not None:
        fields[3] = Number(Kind.U8, operator.options_kind)
        fields[4] = operator.options
    if operator.custom_options:
        fields[5] = Packed(operator.custom_options, len(operator.custom_options))
    if operator.intermediates:
        fields[8] = _indices(operator.intermediates, places)
    return Table(fields)
