"""What a conversion may leave in its file, before and after."""

from collections.abc import Iterator, Sequence

from agent.core.tflite import flatmodel, needs
from agent.core.tflite.flatmodel import Arithmetic, ModelFacts
from deploy.core.factory.conversion import refusals
from deploy.core.factory.conversion.refusals import Placed
from deploy.core.factory.conversion.words import SAMPLES_ADVISED, Convert, Quantize
from deploy.core.factory.tflite import dataflow
from deploy.core.factory.tflite.dataflow import Dataflow
from deploy.core.refusal import Refused

FLEX = "Flex"
"""Before the name of an operator of TensorFlow itself."""
_PASSING = frozenset({"QUANTIZE", "DEQUANTIZE"})
_FLOATS = frozenset({"float32", "float16", "float64"})
_FULL_INTEGER = frozenset({Quantize.INT8, Quantize.UINT8, Quantize.INT16X8})


def check(order: Convert) -> None:
    """
    Raises:
        Refused: the order contradicts itself.
    """
    if order.quantize.calibrated and not order.representative:
        least, most = SAMPLES_ADVISED
        raise Refused(
            f"mode {order.quantize} sets ranges from data: give --representative with a folder of pictures, "
            f"an .npz file or module:function ({least} to {most} samples like those that it will see)"
        )
    if order.float_fallback and order.quantize not in _FULL_INTEGER:
        raise Refused(
            f"--float-fallback belongs to {', '.join(sorted(_FULL_INTEGER))}: mode {order.quantize} keeps "
            "operators in float by itself"
        )


def examine(order: Convert, content: bytes) -> tuple[str, ...]:
    """Remarks on what the converter made.

    Raises:
        Refused: a full-integer model computes in float, or there are operators that nobody allowed.
        Malformed: it is no whole model.
    """
    graphs = tuple(dataflow.graphs(content))
    foreign = frozenset(each.name for graph in graphs for each in graph.operators if each.custom)
    _check_foreign(order, foreign)
    floating = tuple(each for graph in graphs for each in _in_float(graph))
    if order.quantize in _FULL_INTEGER and floating and not order.float_fallback:
        raise Refused(refusals.in_float(order.quantize, floating))
    return (
        *_remarks(order, sorted(foreign), floating),
        *_newer(flatmodel.examine(content), order.quantize),
    )


def _in_float(graph: Dataflow) -> Iterator[Placed]:
    """What a full-integer model must not have."""
    for operator in graph.operators:
        computed = {tensor.dtype for tensor in graph.given(operator)}
        if operator.name not in _PASSING and not _FLOATS.isdisjoint(computed):
            yield Placed(operator.name, graph.layer(operator))


def _check_foreign(order: Convert, found: frozenset[str]) -> None:
    names = sorted(found - {*order.custom, *(FLEX + name for name in order.select_tf)})
    if names:
        option = " ".join(
            f"--select-tf {name.removeprefix(FLEX)}" if name.startswith(FLEX) else f"--custom {name}"
            for name in names
        )
        raise Refused(
            f"outside TensorFlow Lite's built-in set and not named: {', '.join(names).replace(FLEX, '')}; "
            f"{option} leaves it in, which no device of Shoal runs"
        )


def _newer(facts: ModelFacts, quantize: Quantize) -> Iterator[str]:
    need = needs.need(facts)
    if need is not None:
        yield need.in_words()
    if quantize is Quantize.DYNAMIC and facts.arithmetic is Arithmetic.FLOAT32:
        yield "nothing was quantized: weights of fewer than 1,024 numbers stay as they are, and all are"


def _remarks(order: Convert, foreign: Sequence[str], floating: Sequence[Placed]) -> Iterator[str]:
    if foreign:
        yield f"it holds {', '.join(foreign)}, which no device of Shoal runs"
    if floating and order.quantize in _FULL_INTEGER | {Quantize.INT8_FLOAT_IO}:
        names = ", ".join(dict.fromkeys(each.operator for each in floating))
        yield f"in float because it has no integer form: {names}; an Edge TPU leaves off there"
