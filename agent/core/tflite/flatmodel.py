"""What a .tflite file says about itself, read without any runtime.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs (identifier TFL3, version 3); fields by their index.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.core.tflite import flatmeta, flatops, flatzip
from agent.core.tflite.flatbuffer import Table, root
from agent.wire.documents import Quantization
from agent.wire.errors import Malformed

_IDENTIFIER: Final = b"TFL3"
_VERSION: Final = 3
RUNTIME_VERSION: Final = "min_runtime_version"
_RESHAPING: Final = frozenset({"DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE", "CAST"})


class Arithmetic(StrEnum):
    """What the operators compute in."""

    INTEGER = "full-integer"
    INT16X8 = "int16x8"
    DYNAMIC = "dynamic-range"
    FLOAT16 = "float16"
    FLOAT32 = "float32"
    MIXED = "partly integer"


@dataclass(frozen=True, slots=True)
class TensorFacts:
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]

    @property
    def quantization(self) -> Quantization | None:
        """The per-tensor parameters; None where there are none or a scale a channel."""
        if len(self.scales) != 1 or not (math.isfinite(self.scales[0]) and self.scales[0] > 0):
            return None
        return Quantization(scale=self.scales[0], zero_point=self.zero_points[0] if self.zero_points else 0)


@dataclass(frozen=True, slots=True)
class OperatorCount:
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class OperatorVersion:
    """Of the schema's: what an operator does for which types grows with its version."""

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class ModelFacts:
    length_bytes: int
    description: str
    minimum_runtime: str | None
    """As the converter wrote it: the TensorFlow version whose runtime knows every operator."""
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    operators: tuple[OperatorCount, ...]
    """Of the main graph, the most frequent first."""
    custom_operators: tuple[str, ...]
    operator_versions: tuple[OperatorVersion, ...]
    """All that the file names, custom ones aside: a runtime that lacks one does not load it."""
    types: frozenset[str]
    """Of all tensors."""
    output_operator: str | None
    """What computes the first output, seen through reshapes and (de)quantisation."""
    arithmetic: Arithmetic
    stateful: bool
    """It remembers earlier inputs, unless its variables are reset."""
    subgraphs: int
    tensors: int
    signatures: tuple[str, ...]
    metadata: tuple[str, ...]
    card: flatmeta.Card | None
    files: tuple[str, ...]
    """Names in the zip archive appended to the model."""

    @property
    def operator_names(self) -> frozenset[str]:
        return frozenset((*(entry.name for entry in self.operators), *self.custom_operators))

    @property
    def edgetpu(self) -> bool:
        """Compiled for an Edge TPU: nothing else can run it."""
        return flatops.EDGETPU in self.custom_operators


@dataclass(frozen=True, slots=True)
class _Tensor:
    facts: TensorFacts
    buffer: int
    variable: bool


@dataclass(frozen=True, slots=True)
class _Operator:
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Graph:
    tensors: tuple[_Tensor, ...]
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    output_indices: tuple[int, ...]
    operators: tuple[_Operator, ...]


def examine(content: bytes) -> ModelFacts:
    """
    Raises:
        Malformed: these are not the bytes of a whole TFLite model; the message says what is wrong.
    """
    model = open_model(content)
    constants = tuple(model.tables(4))
    lengths = tuple(buffer.span(0)[1] for buffer in constants)
    named = tuple(model.tables(1))
    codes = tuple(_operator_code(code) for code in named)
    graphs = tuple(_graph(graph, codes, len(constants)) for graph in model.tables(2))
    if not graphs:
        raise Malformed("damaged: the model has no graph")
    metadata = {entry.text(0): entry.u32(1) for entry in model.tables(6)}
    return ModelFacts(
        length_bytes=len(content),
        description=model.text(3),
        minimum_runtime=_minimum_runtime(metadata, constants),
        inputs=graphs[0].inputs,
        outputs=graphs[0].outputs,
        operators=_count(graphs[0].operators),
        custom_operators=tuple(sorted({name for name, custom in codes if custom})),
        operator_versions=tuple(
            OperatorVersion(name, max(1, code.i32(2)))
            for (name, custom), code in zip(codes, named, strict=True)
            if not custom
        ),
        types=frozenset(tensor.facts.dtype for graph in graphs for tensor in graph.tensors),
        output_operator=_output_operator(graphs[0]),
        arithmetic=_arithmetic(graphs[0], lengths),
        stateful=any(tensor.variable for graph in graphs for tensor in graph.tensors),
        subgraphs=len(graphs),
        tensors=len(graphs[0].tensors),
        signatures=tuple(signature.text(2) for signature in model.tables(7)),
        metadata=tuple(metadata),
        card=flatmeta.read(_metadata(flatmeta.NAME, metadata, constants)),
        files=flatzip.names(content),
    )


def buffers(content: bytes) -> tuple[tuple[int, int], ...]:
    """Start and length in the file of each constant tensor's bytes, in the file's order.

    Raises:
        Malformed: as `examine`.
    """
    spans = (buffer.span(0) for buffer in open_model(content).tables(4))
    return tuple(sorted(span for span in spans if span[1]))


def open_model(content: bytes) -> Table:
    """The root of the file, for whoever knows the schema.

    Raises:
        Malformed: as `examine`.
    """
    if content[4:8] != _IDENTIFIER:
        raise Malformed(f"not a TFLite model: it lacks the identifier TFL3 ({len(content)} bytes)")
    model = root(content)
    if model.u32(0) != _VERSION:
        raise Malformed(f"a TFLite model of schema version {model.u32(0)}; only {_VERSION} is known")
    return model


def _operator_code(code: Table) -> tuple[str, bool]:
    """The operator's name, and whether it is a custom one.

    The 8-bit field came first and holds 127 for every operator beyond it, so the greater of both counts.
    """
    builtin = max(code.i8(0), code.i32(3))
    custom = builtin == flatops.CUSTOM
    return (code.text(1) or "CUSTOM", True) if custom else (flatops.operator_name(builtin), False)


def _graph(graph: Table, codes: Sequence[tuple[str, bool]], buffers: int) -> _Graph:
    tensors = tuple(_tensor(tensor, buffers) for tensor in graph.tables(0))
    inputs, outputs = graph.ints(1), graph.ints(2)
    for index in (*inputs, *outputs):
        _check_tensor(index, len(tensors))
    return _Graph(
        tensors=tensors,
        inputs=tuple(tensors[index].facts for index in inputs),
        outputs=tuple(tensors[index].facts for index in outputs),
        output_indices=outputs,
        operators=tuple(_operator(operator, codes, len(tensors)) for operator in graph.tables(3)),
    )


def _tensor(tensor: Table, buffers: int) -> _Tensor:
    buffer = tensor.u32(2)
    if buffer >= max(buffers, 1):
        raise Malformed(f"damaged: a tensor uses buffer {buffer} of {buffers}")
    quantization = tensor.table(4)
    facts = TensorFacts(
        name=tensor.text(3),
        shape=tensor.ints(0),
        dtype=flatops.type_name(tensor.i8(1)),
        scales=quantization.floats(2) if quantization else (),
        zero_points=quantization.longs(3) if quantization else (),
    )
    return _Tensor(facts, buffer, tensor.u8(5) != 0)


def _operator(operator: Table, codes: Sequence[tuple[str, bool]], tensors: int) -> _Operator:
    code = operator.u32(0)
    if code >= len(codes):
        raise Malformed(f"damaged: an operator has code {code} of {len(codes)}")
    inputs, outputs = operator.ints(1), operator.ints(2)
    for index in outputs:
        _check_tensor(index, tensors)
    for index in inputs:
        # -1 is an optional input left out.
        if index != -1:
            _check_tensor(index, tensors)
    return _Operator(codes[code][0], inputs, outputs)


def _check_tensor(index: int, tensors: int) -> None:
    if not 0 <= index < tensors:
        raise Malformed(f"damaged: tensor {index} is referred to, and there are {tensors}")


def _count(operators: Sequence[_Operator]) -> tuple[OperatorCount, ...]:
    counts = Counter(operator.name for operator in operators)
    return tuple(OperatorCount(*entry) for entry in sorted(counts.items(), key=lambda e: (-e[1], e[0])))


def _output_operator(graph: _Graph) -> str | None:
    made_by = {index: operator for operator in graph.operators for index in operator.outputs}
    operator = made_by.pop(graph.output_indices[0], None) if graph.output_indices else None
    while operator is not None and operator.name in _RESHAPING and operator.inputs:
        # Popping ends the walk on a hostile graph that computes a tensor from itself.
        before = made_by.pop(operator.inputs[0], None)
        if before is None:
            break
        operator = before
    return None if operator is None else operator.name


def _arithmetic(graph: _Graph, buffer_bytes: Sequence[int]) -> Arithmetic:
    """Judged by what the operators produce; DEQUANTIZE and QUANTIZE only pass between two worlds."""
    produced = {
        graph.tensors[index].facts.dtype
        for operator in graph.operators
        if operator.name not in {"DEQUANTIZE", "QUANTIZE"}
        for index in operator.outputs
    }
    integer = not produced.isdisjoint({"int8", "uint8", "int4"})
    if not produced.isdisjoint({"float32", "float16"}):
        return Arithmetic.MIXED if integer else _float_arithmetic(graph, buffer_bytes)
    if integer:
        return Arithmetic.INTEGER
    return Arithmetic.INT16X8 if "int16" in produced else Arithmetic.FLOAT32


def _float_arithmetic(graph: _Graph, buffer_bytes: Sequence[int]) -> Arithmetic:
    constants = {t.facts.dtype for t in graph.tensors if t.buffer and buffer_bytes[t.buffer]}
    if not constants.isdisjoint({"int8", "uint8", "int4"}):
        return Arithmetic.DYNAMIC
    return Arithmetic.FLOAT16 if "float16" in constants else Arithmetic.FLOAT32


def _metadata(name: str, entries: dict[str, int], buffers: Sequence[Table]) -> bytes:
    index = entries.get(name)
    return b"" if index is None or index >= len(buffers) else buffers[index].bytes(0)


def _minimum_runtime(entries: dict[str, int], buffers: Sequence[Table]) -> str | None:
    padded = _metadata(RUNTIME_VERSION, entries, buffers)
    return padded.split(b"\0")[0].decode("ascii", errors="replace") or None
