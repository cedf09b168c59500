"""The operators of a .tflite file one by one: what each computes in, and how new it is.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs; fields by their index.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.tflite import flatops
from agent.core.tflite.flatbuffer import Table, root

_PASSING: Final = frozenset({"QUANTIZE", "DEQUANTIZE"})
_FLOATS: Final = frozenset({"float32", "float16", "float64"})


@dataclass(frozen=True, slots=True)
class Operator:
    name: str
    """A custom one's own name."""
    version: int
    custom: bool
    outputs: tuple[str, ...]
    """Names of the tensors that it computes; converters name them after the layers."""
    dtypes: tuple[str, ...]
    """Of these tensors."""


def operators(content: bytes) -> tuple[Operator, ...]:
    """Of every graph in the file, in their order.

    Raises:
        Malformed: as `flatmodel.examine`, which says more about what is wrong.
    """
    model = root(content)
    codes = [_code(code) for code in model.tables(1)]
    return tuple(operator for graph in model.tables(2) for operator in _operators(graph, codes))


def _code(code: Table) -> tuple[str, int, bool]:
    builtin = max(code.i8(0), code.i32(3))
    custom = builtin == flatops.CUSTOM
    name = (code.text(1) or "CUSTOM") if custom else flatops.operator_name(builtin)
    return name, code.i32(2) or 1, custom


def _operators(graph: Table, codes: Sequence[tuple[str, int, bool]]) -> Iterator[Operator]:
    tensors = [(tensor.text(3), flatops.type_name(tensor.i8(1))) for tensor in graph.tables(0)]
    for operator in graph.tables(3):
        name, version, custom = codes[operator.u32(0)]
        made = [tensors[index] for index in operator.ints(2) if index >= 0]
        yield Operator(name, version, custom, tuple(n for n, _ in made), tuple(t for _, t in made))


def computing_in_float(found: Sequence[Operator]) -> tuple[Operator, ...]:
    """Those that a full-integer model must not have."""
    return tuple(each for each in found if each.name not in _PASSING and not _FLOATS.isdisjoint(each.dtypes))


def layer(operator: Operator) -> str:
    """What a person knows of the place: the last of the names that the converter joined with semicolons."""
    return next(iter(operator.outputs), "").split(";")[0] or "without a name"
