"""What a .tflite file computes, operator by operator: what judging its cost and its place needs.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs (identifier TFL3, version 3); fields by their index.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

from agent.core.tflite import flatmodel, flatops
from agent.core.tflite.flatbuffer import Table
from agent.wire.errors import Malformed

_SMALL_BYTES: Final = 64
"""Of axes, shapes and paddings; the constants that are weights are only counted."""

_FUSED: Final = {"AVERAGE_POOL_2D": 5, "MAX_POOL_2D": 5, "CONCATENATION": 1}
"""Where the options hold a fused activation, of the operators that are judged by it."""
_DILATION: Final = {"CONV_2D": (4, 5), "DEPTHWISE_CONV_2D": (5, 6)}
_SLICE_MASKS: Final = (2, 3)
"""Ellipsis and new axis, of STRIDED_SLICE."""
_NEEDED: Final = {
    "BATCH_MATMUL": 2,
    "CONV_2D": 2,
    "CONV_3D": 2,
    "DEPTHWISE_CONV_2D": 2,
    "FULLY_CONNECTED": 2,
    "TRANSPOSE_CONV": 3,
    "LSTM": 1,
    "PAD": 1,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 1,
    "UNIDIRECTIONAL_SEQUENCE_RNN": 1,
    "MEAN": 1,
    "SUM": 1,
    "REDUCE_MAX": 1,
    "REDUCE_MIN": 1,
}
"""The inputs without which an operator is none, of those that are looked into."""


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    """As the file holds it, with 1 where a size is open."""
    signature: tuple[int, ...]
    """The same with -1 where a size is open."""
    dtype: str
    constant_bytes: int
    """0: it is computed."""
    scales: int
    """0: it is not quantized; 1, or one a channel."""
    small: bytes
    """The constant itself where it is small, such as axes and shapes."""

    @property
    def constant(self) -> bool:
        return self.constant_bytes > 0

    @property
    def elements(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Operator:
    """Tensors are given by their index, -1 for an input that is left out."""

    name: str
    custom: bool
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    fused: bool
    """It has an activation inside; told of pools and concatenations only."""
    dilation: tuple[int, int]
    """Width, height."""
    reshapes: bool
    """A STRIDED_SLICE with an ellipsis or a new axis."""


@dataclass(frozen=True, slots=True)
class Dataflow:
    """One graph, its operators in the order in which they run."""

    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]

    def taken(self, operator: Operator) -> tuple[Tensor, ...]:
        return tuple(self.tensors[index] for index in operator.inputs if index >= 0)

    def given(self, operator: Operator) -> tuple[Tensor, ...]:
        return tuple(self.tensors[index] for index in operator.outputs)

    def layer(self, operator: Operator) -> str:
        """What the source calls it: of the names that the converter joined by semicolons, the first."""
        name = self.tensors[operator.outputs[0]].name if operator.outputs else ""
        return name.split(";")[0] or "a layer without a name"

    def integers(self, operator: Operator, place: int) -> tuple[int, ...]:
        """A small constant input of 32-bit integers, such as the axes of a MEAN; empty where it is none."""
        if place >= len(operator.inputs) or operator.inputs[place] < 0:
            return ()
        raw = self.tensors[operator.inputs[place]].small
        return tuple(
            int.from_bytes(raw[at : at + 4], "little", signed=True) for at in range(0, len(raw) // 4 * 4, 4)
        )


def read(content: bytes) -> Dataflow:
    """The main graph.

    Raises:
        Malformed: these are not the bytes of a whole TFLite model.
    """
    main = next(graphs(content), None)
    if main is None:
        raise Malformed("damaged: the model has no graph")
    return main


def graphs(content: bytes) -> Iterator[Dataflow]:
    """The main graph first, then those that its operators call, such as the body of a loop.

    Raises:
        Malformed: these are not the bytes of a whole TFLite model.
    """
    model = flatmodel.open_model(content)
    codes = tuple(_code(code) for code in model.tables(1))
    spans = tuple(buffer.span(0) for buffer in model.tables(4))
    for graph in model.tables(2):
        tensors = tuple(_tensor(tensor, content, spans) for tensor in graph.tables(0))
        yield _dataflow(graph, tensors, codes)


def _dataflow(graph: Table, tensors: tuple[Tensor, ...], codes: Sequence[tuple[str, bool, int]]) -> Dataflow:
    return Dataflow(
        tensors=tensors,
        inputs=_within(graph.ints(1), len(tensors)),
        outputs=_within(graph.ints(2), len(tensors)),
        operators=tuple(_operator(operator, codes, len(tensors)) for operator in graph.tables(3)),
    )


def _code(code: Table) -> tuple[str, bool, int]:
    """Name, whether it is a custom one, version (1 where the file says none).

    The 8-bit field came first and holds 127 for every operator beyond it, so the greater of both counts.
    """
    builtin = max(code.i8(0), code.i32(3))
    version = code.i32(2) or 1
    if builtin == flatops.CUSTOM:
        return code.text(1) or "CUSTOM", True, version
    return flatops.operator_name(builtin), False, version


def _tensor(tensor: Table, content: bytes, spans: Sequence[tuple[int, int]]) -> Tensor:
    buffer = tensor.u32(2)
    if buffer >= max(len(spans), 1):
        raise Malformed(f"damaged: a tensor uses buffer {buffer} of {len(spans)}")
    start, length = spans[buffer] if buffer else (0, 0)
    shape, quantization = tensor.ints(0), tensor.table(4)
    return Tensor(
        name=tensor.text(3),
        shape=shape,
        signature=tensor.ints(7) or shape,
        dtype=flatops.type_name(tensor.i8(1)),
        constant_bytes=length,
        scales=len(quantization.floats(2)) if quantization else 0,
        small=content[start : start + length] if length <= _SMALL_BYTES else b"",
    )


def _operator(operator: Table, codes: Sequence[tuple[str, bool, int]], tensors: int) -> Operator:
    code = operator.u32(0)
    if code >= len(codes):
        raise Malformed(f"damaged: an operator has code {code} of {len(codes)}")
    name, custom, version = codes[code]
    options = None if custom else operator.table(4)
    inputs = _within(operator.ints(1), tensors, least=-1)
    outputs = _within(operator.ints(2), tensors)
    needed = _NEEDED.get(name, 0)
    if needed and (len(inputs) < needed or -1 in inputs[:needed] or not outputs):
        raise Malformed(f"damaged: {name} has {len(inputs)} inputs and {len(outputs)} outputs")
    return Operator(
        name=name,
        custom=custom,
        version=version,
        inputs=inputs,
        outputs=outputs,
        fused=options is not None and name in _FUSED and options.i8(_FUSED[name]) != 0,
        dilation=_dilation(name, options),
        reshapes=options is not None
        and name == "STRIDED_SLICE"
        and any(options.i32(mask) for mask in _SLICE_MASKS),
    )


def _dilation(name: str, options: Table | None) -> tuple[int, int]:
    """The schema's default is 1, which is not written."""
    if options is None or name not in _DILATION:
        return 1, 1
    width, height = _DILATION[name]
    return options.i32(width) or 1, options.i32(height) or 1


def _within(indices: tuple[int, ...], tensors: int, *, least: int = 0) -> tuple[int, ...]:
    for index in indices:
        if not least <= index < tensors:
            raise Malformed(f"damaged: tensor {index} is referred to, and there are {tensors}")
    return indices
