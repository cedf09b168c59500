"""Which quantization fits a target and the data at hand, and why.

The tree is that of TensorFlow Lite's guide "Post-training quantization": without representative data
dynamic range (4x smaller, on a CPU) or float16 (2x smaller); with it full integer (4x smaller, faster, and
all that an Edge TPU takes). What it leaves open, times measured here decide.
Source: ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quantization.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.core.tflite.flatmodel import Arithmetic, ModelFacts
from deploy.core.factory.conversion.allowing import FLEX
from deploy.core.factory.conversion.words import SAMPLES_ADVISED, Quantize


class Target(StrEnum):
    CPU = "cpu"
    EDGETPU = "edgetpu"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one mode."""

    length_bytes: int
    least_ms: float | None
    """None: nothing here runs it."""
    on_edgetpu: int
    """Operators that the Edge TPU would take."""


@dataclass(frozen=True, slots=True)
class Choice:
    mode: Quantize | None
    """None: no mode serves the target as the source is."""
    reasons: tuple[str, ...]
    needs: tuple[str, ...]
    """What the operator must bring before it can be made."""


COMPILED: Final = Choice(
    None,
    ("it is compiled for an Edge TPU already, and nothing else runs it",),
    ("the model that it was compiled from, as the other half of a release",),
)
_ARITHMETIC: Final = {
    Arithmetic.FLOAT32: Quantize.NONE,
    Arithmetic.FLOAT16: Quantize.FLOAT16,
    Arithmetic.DYNAMIC: Quantize.DYNAMIC,
    Arithmetic.INT16X8: Quantize.INT16X8,
    Arithmetic.MIXED: Quantize.INT8_FLOAT_IO,
}
_ENDS: Final = {"int8": Quantize.INT8, "uint8": Quantize.UINT8}
_SLOWER: Final = 1.25
"""Less is what one file takes from run to run on a busy machine. Dynamic range is no choice where it takes so
much longer than float16: its gain is then size alone.
"""


def mode_of(facts: ModelFacts) -> Quantize:
    """The mode by which such a file is made."""
    found = _ARITHMETIC.get(facts.arithmetic)
    if found is not None:
        return found
    return _ENDS.get(facts.inputs[0].dtype if facts.inputs else "", Quantize.INT8_FLOAT_IO)


def trying(mode: Quantize) -> str:
    """How the factory says which mode it is at; whoever hears it knows which one it died of."""
    return f"trying {mode}"


def as_it_is(target: Target, mode: Quantize, outcome: Outcome) -> Choice:
    """Of a file that is quantized already: what its source is good for is not known."""
    full = mode in {Quantize.INT8, Quantize.UINT8, Quantize.INT8_FLOAT_IO}
    if target is not Target.CPU and not (full and outcome.on_edgetpu):
        why = f"it is {mode}, and an Edge TPU takes full integer that begins with an operator of its own"
        return Choice(
            None, (why,), ("the float model that it was made of, for shoal advise and shoal convert",)
        )
    return Choice(mode, ("it is quantized already",), ())


def choose(
    target: Target, outcomes: Mapping[Quantize, Outcome], samples: int, budget_ms: float | None
) -> Choice:
    """
    Args:
        target: where it shall run.
        outcomes: of the modes that the converter did not refuse.
        samples: of representative data; 0: there is none.
        budget_ms: for one inference; None: no bound.
    """
    if not outcomes:
        why = "the converter makes no file of this source as it is"
        return Choice(None, (why,), ("replace in the source what the converter names",))
    integer = next((mode for mode in (Quantize.INT8, Quantize.UINT8) if mode in outcomes), None)
    if target is Target.CPU:
        return _for_cpu(outcomes, integer, samples, budget_ms)
    return _for_edgetpu(outcomes, integer, samples, target)


def _for_edgetpu(
    outcomes: Mapping[Quantize, Outcome], integer: Quantize | None, samples: int, target: Target
) -> Choice:
    if integer is None:
        return Choice(
            None,
            ("an Edge TPU takes full integer only, and the converter cannot make that of this source",),
            ("replace the operators that have no integer form, or ask for CPUs alone: --target cpu",),
        )
    if outcomes[integer].on_edgetpu == 0:
        return Choice(
            None,
            ("full integer it can be, but an Edge TPU leaves off at its very first operator",),
            (
                (
                    "replace the operator that comes first among those that it does not take, or ask for "
                    "CPUs alone: --target cpu"
                ),
            ),
        )
    reasons = ["an Edge TPU takes full integer only (int8 and uint8 serve it alike)"]
    if target is Target.BOTH:
        reasons.append("the same file serves a CPU, and is the other half of the release")
    return Choice(integer, tuple(reasons), _data_wanted(samples))


def _for_cpu(
    outcomes: Mapping[Quantize, Outcome], integer: Quantize | None, samples: int, budget_ms: float | None
) -> Choice:
    best = integer or (Quantize.INT8_FLOAT_IO if Quantize.INT8_FLOAT_IO in outcomes else None)
    if samples and best is not None:
        mode, why = best, _with_data(outcomes, best)
    else:
        mode, said = _without_data(outcomes)
        why = f"there is no representative data, so no ranges of activations; {said}"
    quick = _in_time(outcomes, mode, budget_ms)
    if quick is not None:
        over = f"{mode} took {outcomes[mode].least_ms:.3g} ms here, over the budget of {budget_ms:g} ms"
        mode, why = quick, f"{over}; {quick} took {outcomes[quick].least_ms:.3g} ms"
    return Choice(mode, (why,), _data_wanted(samples) if mode.calibrated else ())


def _with_data(outcomes: Mapping[Quantize, Outcome], best: Quantize) -> str:
    if best is Quantize.INT8_FLOAT_IO:
        return "some operators have no integer form: the others become integer, these stay in float"
    return (
        f"there is representative data: full integer is {_smaller(outcomes, best)}{_faster(outcomes, best)}"
    )


def _faster(outcomes: Mapping[Quantize, Outcome], mode: Quantize) -> str:
    """Against the fastest of the others; small networks and loops are often slower in integers."""
    mine = outcomes[mode].least_ms
    others = [
        (found.least_ms, other)
        for other, found in outcomes.items()
        if other is not mode and found.least_ms is not None
    ]
    if mine is None or not others:
        return ""
    least, rival = min(others)
    if mine <= least:
        return " and the fastest here"
    if mine <= _SLOWER * least:
        return " and about as fast as any here"
    return (
        f", but took {mine:.3g} ms here and {rival} {least:.3g} ms: a budget (--budget-ms) decides otherwise"
    )


def _smaller(outcomes: Mapping[Quantize, Outcome], mode: Quantize) -> str:
    whole = outcomes.get(Quantize.NONE)
    if whole is None:
        return "the smallest"
    return f"{outcomes[mode].length_bytes / whole.length_bytes:.2f} of the float model's size"


def _without_data(outcomes: Mapping[Quantize, Outcome]) -> tuple[Quantize, str]:
    """The smallest that needs none, unless its time is the price; weights of less than 1,024 elements stay as
    they are under dynamic range, so a small network gains nothing by it.
    """
    found = [mode for mode in (Quantize.DYNAMIC, Quantize.FLOAT16, Quantize.NONE) if mode in outcomes]
    if not found:
        return next(iter(outcomes)), "nothing else can be made"
    best = min(found, key=lambda mode: outcomes[mode].length_bytes)
    if (
        best is Quantize.DYNAMIC
        and (half := outcomes.get(Quantize.FLOAT16))
        and _slower(outcomes[best], half)
    ):
        return (
            Quantize.FLOAT16,
            (
                f"dynamic range is smaller still, but took {outcomes[best].least_ms:.3g} ms here and float16 "
                f"{half.least_ms:.3g} ms"
            ),
        )
    if best is Quantize.NONE or len(found) == 1:
        return best, "no mode that goes without makes it smaller"
    return best, f"{best} makes it {_smaller(outcomes, best)} without any"


def _slower(one: Outcome, other: Outcome) -> bool:
    if one.least_ms is None or other.least_ms is None:
        return False
    return one.least_ms > _SLOWER * other.least_ms


def _in_time(
    outcomes: Mapping[Quantize, Outcome], mode: Quantize, budget_ms: float | None
) -> Quantize | None:
    """The smallest that keeps a budget which the chosen one does not; None: it does, or none would."""
    time = outcomes[mode].least_ms
    if budget_ms is None or time is None or time <= budget_ms:
        return None
    keeping = [
        other
        for other, found in outcomes.items()
        if found.least_ms is not None and found.least_ms <= budget_ms
    ]
    return min(keeping, key=lambda other: outcomes[other].length_bytes, default=None)


def _data_wanted(samples: int) -> tuple[str, ...]:
    least, most = SAMPLES_ADVISED
    if samples == 0:
        return (f"bring representative data, {least} to {most} samples: --representative",)
    if samples < least:
        return (f"bring more representative data than these {samples}: {least} to {most} are advised",)
    return ()


_FIXED: Final = "a fixed batch, or unroll=True in the recurrent layer"
_INSTEAD: Final = {
    "Erf": "GELU in its tanh form (approximate=True)",
    "BitwiseAnd": "tf.argmax where it comes of keras.ops.argmax, or scores at the end: the device ranks them",
    "FFT": "tf.signal.rfft2d, which is built in",
    "Roll": "tf.concat of two slices",
    "TensorListReserve": _FIXED,
    "TensorListFromTensor": _FIXED,
    "TensorListStack": _FIXED,
}
"""Operators of TensorFlow that people meet, and what TensorFlow Lite has in their place."""


def instead(operator: str) -> str:
    """
    Args:
        operator: as the file has it, `FlexErf` for TensorFlow's own Erf.
    """
    return _INSTEAD.get(operator.removeprefix(FLEX), "")
