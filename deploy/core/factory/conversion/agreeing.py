"""Whether a converted model answers as its float parent does."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deploy.core.factory.conversion.words import Agreement, Quantize

Arrays = Mapping[str, NDArray[np.generic]]
"""By name of output."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One sample's answers."""

    parent: Arrays
    child: Arrays


@dataclass(frozen=True, slots=True)
class Tolerance:
    difference_mean: float
    """As `Agreement.difference_mean`."""
    same_first_share: float
    """Asked of classifiers, and only where the difference is large enough to matter."""


_INTEGER: Final = Tolerance(0.25, 0.6)
TOLERANCES: Final[Mapping[Quantize, Tolerance]] = {
    # The same numbers in another order of additions: 1e-6 of the range. A wrong graph is far beyond it.
    Quantize.NONE: Tolerance(0.002, 0.98),
    # Ten bits of mantissa a weight: 5e-4 a product, and deep networks add up some of them.
    Quantize.FLOAT16: Tolerance(0.02, 0.95),
    # Eight bits a weight; activations are exact (int16x8) or have their own range at each run (dynamic).
    Quantize.INT16X8: Tolerance(0.15, 0.7),
    Quantize.DYNAMIC: _INTEGER,
    # Eight bits both ways: a good calibration stays below 0.1 even at 1,000 classes, a lost one is near 1.
    Quantize.INT8_FLOAT_IO: _INTEGER,
    Quantize.INT8: _INTEGER,
    Quantize.UINT8: _INTEGER,
}
_NEAR: Final = 0.2
"""Of the tolerance: within it two classes that swap places were level in the parent's eyes too."""


_GRID: Final[Mapping[Quantize, float]] = {
    Quantize.INT16X8: 1 / 32768,
    Quantize.INT8_FLOAT_IO: 1 / 256,
    Quantize.INT8: 1 / 256,
    Quantize.UINT8: 1 / 256,
}
"""One step of a quantized softmax, which TensorFlow Lite fixes (its 8-bit quantization specification)."""
_STEPS: Final = 16
"""Shares that lie within so few steps of one another are level: a network that was not trained gives such."""


class Unanswered(Exception):
    """The float parent's own answer is no number."""


def measure(pairs: Iterable[Answered], quantize: Quantize) -> Agreement:
    """
    Args:
        pairs: at least one; all of one signature.
        quantize: how the child was made; shares of one are not told finer than its grid.

    Raises:
        Unanswered: the parent answers NaN or infinity; says for which output.
    """
    samples = tuple(pairs)
    names = tuple(samples[0].parent)
    return worst([_of_output(name, samples, _STEPS * _GRID.get(quantize, 0.0)) for name in names])


def worst(found: Sequence[Agreement]) -> Agreement:
    """Of several outputs or signatures, each figure at its worst."""
    shares = [each.same_first_share for each in found if each.same_first_share is not None]
    return Agreement(
        samples=max(each.samples for each in found),
        difference_max=max(each.difference_max for each in found),
        difference_mean=max(each.difference_mean for each in found),
        same_first_share=min(shares, default=None),
    )


def _of_output(name: str, samples: Sequence[Answered], level: float) -> Agreement:
    parents = [np.asarray(sample.parent[name]) for sample in samples]
    if parents[0].dtype.kind not in "fiub":
        return _literal(name, samples)
    reach = _reach(name, parents)
    if all(map(_is_shares, parents)):
        reach = max(reach, level)
    distances = [
        _distance(np.asarray(sample.child[name]), parent) / reach
        for sample, parent in zip(samples, parents, strict=True)
    ]
    return Agreement(
        samples=len(samples),
        difference_max=max(distances),
        difference_mean=sum(distances) / len(distances),
        same_first_share=_same_first(name, samples) if _is_scores(parents[0]) else None,
    )


def _literal(name: str, samples: Sequence[Answered]) -> Agreement:
    """Text is the same or not."""
    distances = [
        float(not np.array_equal(np.asarray(each.parent[name]), np.asarray(each.child[name])))
        for each in samples
    ]
    return Agreement(
        samples=len(samples),
        difference_max=max(distances),
        difference_mean=sum(distances) / len(distances),
        same_first_share=None,
    )


def _reach(name: str, parents: Sequence[NDArray[np.generic]]) -> float:
    """The range of what the parent says; where it always says the same, its size; 1 where that is nought."""
    extremes = [_extremes(parent) for parent in parents if parent.size]
    values = np.array(extremes or [(0.0, 0.0)])
    if not np.isfinite(values).all():
        raise Unanswered(name)
    size = float(np.abs(values).max())
    return max(float(values[:, 1].max() - values[:, 0].min()), 0.01 * size) or 1.0


def _extremes(array: NDArray[np.generic]) -> tuple[float, float]:
    real = array.astype(np.float64)
    return float(real.min()), float(real.max())


def _distance(child: NDArray[np.generic], parent: NDArray[np.generic]) -> float:
    """The largest of any element; infinite where the child has other elements, or answers no number."""
    if child.size != parent.size:
        return float("inf")
    found = np.abs(child.astype(np.float64).ravel() - parent.astype(np.float64).ravel())
    return float("inf") if not np.isfinite(found).all() else float(found.max(initial=0.0))


def _is_scores(array: NDArray[np.generic]) -> bool:
    return (
        array.dtype.kind == "f" and array.ndim >= 2 and array.shape[-1] >= 2 and array.size == array.shape[-1]
    )


def _is_shares(array: NDArray[np.generic]) -> bool:
    """Whether these are probabilities: none below nought, and one in all."""
    real = array.astype(np.float64)
    return _is_scores(array) and bool(real.min() >= 0.0) and abs(float(real.sum()) - 1.0) < 1e-3


def _same_first(name: str, samples: Sequence[Answered]) -> float:
    same = [
        sample.parent[name].size == sample.child[name].size
        and int(np.argmax(sample.parent[name])) == int(np.argmax(sample.child[name]))
        for sample in samples
    ]
    return sum(same) / len(same)


def faults(quantize: Quantize, found: Agreement, accepted: float | None) -> Iterator[str]:
    """What is beyond tolerance, in words; nothing where it may be written.

    Args:
        quantize: the mode, which says how much is to be expected.
        found: over representative samples, or over noise.
        accepted: how far the operator knowingly lets it go; the classes are then the operator's business too.
    """
    tolerance = TOLERANCES[quantize]
    bound = tolerance.difference_mean if accepted is None else accepted
    # Not "greater": infinities and what is no number are beyond every bound.
    if not found.difference_mean <= bound:
        yield (
            f"its answers differ from the float model's by {found.difference_mean:.2g} of their range on "
            f"average (at most {bound:g} is explained by {quantize})"
        )
    share = found.same_first_share
    matters = found.difference_mean > _NEAR * tolerance.difference_mean
    if accepted is None and share is not None and matters and share < tolerance.same_first_share:
        yield (
            f"it names the same class as the float model for only {share:.0%} of {found.samples} samples "
            f"(at least {tolerance.same_first_share:.0%} for {quantize})"
        )


def remedy(quantize: Quantize) -> str:
    """What else to try where a mode loses too much."""
    match quantize:
        case Quantize.NONE | Quantize.FLOAT16:
            return "convert a SavedModel or a function of it instead"
        case Quantize.DYNAMIC:
            return "try float16, or int8 with representative data"
        case Quantize.INT16X8:
            return "give representative data that covers what it sees, try float16"
        case _:
            return (
                "give 100 to 500 representative samples of what it sees, normalized as in training (--mean "
                "and --std), try int16x8, or train it with shoal optimize"
            )
