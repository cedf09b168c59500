"""Where in a network quantization hurts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from deploy.core.factory.evaluation.document import LayerError, Layers
from deploy.core.factory.evaluation.seen import Compared, TensorError
from deploy.core.refusal import Refused

Reals = NDArray[np.float64]
HURTS: Final = 0.1
"""Added error that is worth a word: below it 8 bits answer as the float parent for nearly all pictures."""
_CLIPPED: Final = 0.01
ERROR_MAX: Final = 1e6
"""Where the reference is all zeros, or either has numbers that are none."""
_OUTSIDE: Final = 0.2
"""So much of an input is not clipped by a calibration that was merely short."""
_ROWS_MIN: Final = 16
"""Numbers of a channel that tell its deviation."""
_ALIVE: Final = 1e-8
"""Of a channel's power: a smaller deviation is what sums of squares leave behind by rounding."""
_LOST: Final = 1.0
"""An error as large as the signal: nothing is left that a later layer could spoil."""
_ADVICE_MAX: Final = 5
_NAME_MAX: Final = 48
SQUASHING: Final = frozenset({"SOFTMAX", "LOGISTIC"})
"""They turn small differences into large ones by what they are: nothing to be mended there."""
_MATCHED_SHARE_MIN: Final = 0.5


class Placed(Protocol):
    """A layer, as far as matching looks at it."""

    @property
    def name(self) -> str: ...
    @property
    def operator(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


L = TypeVar("L", bound=Placed)


@dataclass(frozen=True, slots=True)
class Matched:
    places: tuple[tuple[int, int], ...]
    """Of each layer that both have: its place in the reference and in the quantized model."""
    by: str


def match(reference: Sequence[L], quantized: Sequence[L]) -> Matched:
    """By name, as one converter gives the same names in every mode; else by the order of the operators.

    Raises:
        Refused: these are not two forms of one network.
    """
    named = {layer.name: place for place, layer in enumerate(quantized)}
    found = tuple(
        (place, named[layer.name])
        for place, layer in enumerate(reference)
        if layer.name in named and quantized[named[layer.name]].shape == layer.shape
    )
    if len(found) >= _MATCHED_SHARE_MIN * len(reference):
        return Matched(found, "name")
    if [_form(layer) for layer in reference] == [_form(layer) for layer in quantized]:
        return Matched(tuple((place, place) for place in range(len(reference))), "order of operators")
    raise Refused(
        f"only {len(found)} of {len(reference)} layers of the reference are in the quantized model: layers "
        "can be compared of one network in two modes, converted from the same source"
    )


def _form(layer: Placed) -> tuple[str, tuple[int, ...]]:
    return layer.operator, layer.shape


@dataclass(slots=True)
class Sum:
    """One tensor over several pictures, each channel (the last axis) for itself."""

    count: int = 0
    clipped: int = 0
    _channels: Reals = field(default_factory=lambda: np.zeros((3, 1)))
    """Of the reference's numbers, of their squares and of the squared differences: the sum by channel."""

    def add(self, reference: Reals, quantized: Reals, limits: tuple[float, float] | None) -> None:
        """
        Args:
            reference: its numbers, of any shape.
            quantized: the other's, in real numbers too.
            limits: what the quantized tensor can express at all.
        """
        self.count += reference.size
        here = reference.reshape(-1, reference.shape[-1] if reference.ndim > 1 else 1)
        apart = here - quantized.reshape(here.shape)
        self._channels = self._channels + np.stack(
            [here.sum(axis=0), np.square(here).sum(axis=0), np.square(apart).sum(axis=0)]
        )
        if limits is not None:
            # Half a step beyond the end is rounded, not clipped.
            slack = (limits[1] - limits[0]) / 510
            self.clipped += int(((reference < limits[0] - slack) | (reference > limits[1] + slack)).sum())

    @property
    def squares(self) -> float:
        return float(self._channels[1].sum())

    @property
    def difference(self) -> float:
        return float(self._channels[2].sum())

    @property
    def error(self) -> float:
        """Root mean square of the difference over the standard deviation of the reference's numbers: of the
        whole tensor, or of its median channel where that is worse.

        One channel of large numbers has most of a tensor's deviation. Where a single scale for all weights
        wipes out the other channels, the whole tensor hardly shows it, and the next layer gets the blame.
        """
        if self.difference == 0.0:
            return 0.0
        if not np.isfinite(self._channels).all():
            return ERROR_MAX
        return min(max(self._of_whole(), self._of_median_channel()), ERROR_MAX)

    def _of_whole(self) -> float:
        """Numbers that are all the same have no deviation: their size stands in for it."""
        deviation = max(self.squares / self.count - (self._channels[0].sum() / self.count) ** 2, 0.0)
        scale = deviation or self.squares / self.count
        return float(np.sqrt(self.difference / self.count / scale)) if scale else ERROR_MAX

    def _of_median_channel(self) -> float:
        """Among those whose numbers differ; 0 where a channel has too few to tell its deviation."""
        rows = self.count // self._channels.shape[1]
        if rows < _ROWS_MIN:
            return 0.0
        total, squares, difference = self._channels / rows
        deviation = squares - np.square(total)
        alive = deviation > _ALIVE * squares
        return float(np.median(np.sqrt(difference[alive] / deviation[alive]))) if alive.any() else 0.0

    @property
    def sqnr_db(self) -> float | None:
        """10 log10 of the power of the signal over that of the noise; None: one is 0, or none at all."""
        if self.difference == 0.0 or self.squares == 0.0 or not np.isfinite(self.difference + self.squares):
            return None
        return float(10 * np.log10(self.squares / self.difference))


def report(found: Compared, model: int) -> Layers:
    """
    Args:
        found: every tensor's error.
        model: the place of the quantized model in its report.
    """
    errors = {tensor.name: tensor.error for tensor in found.tensors}
    added = {tensor.name: min(tensor.error, _LOST) - _inherited(tensor, errors) for tensor in found.tensors}
    layers = tuple(
        LayerError(
            name=tensor.name,
            operator=tensor.operator,
            place=tensor.place,
            error=tensor.error,
            sqnr_db=tensor.sqnr_db,
            clipped=tensor.clipped,
            added=added[tensor.name],
        )
        for tensor in found.tensors
    )
    return Layers(
        model=model,
        pictures=found.pictures,
        matched_by=found.matched_by,
        unmatched=found.unmatched,
        layers=layers,
        advice=_advice(found.tensors, added),
    )


def _inherited(tensor: TensorError, errors: Mapping[str, float]) -> float:
    return min(max((errors[source] for source in tensor.sources if source in errors), default=0.0), _LOST)


def _advice(tensors: Sequence[TensorError], added: Mapping[str, float]) -> tuple[str, ...]:
    worst = sorted(
        (each for each in tensors if added[each.name] >= HURTS and each.operator not in SQUASHING),
        key=lambda each: -added[each.name],
    )
    said = [_remedy(tensor, added[tensor.name]) for tensor in worst[:_ADVICE_MAX]]
    if not said and tensors:
        most = max(tensors, key=lambda tensor: tensor.error)
        largest = f"{most.error:.2f} of the spread of its numbers, at {short(most.name)}"
        return (f"no single layer hurts: the largest error is {largest}",)
    return tuple(said)


def _remedy(tensor: TensorError, added: float) -> str:
    layer = f"{tensor.operator} {tensor.place} ({short(tensor.name)})"
    what = f"{layer} adds an error of {added:.2f} of the spread of its numbers"
    if tensor.per_tensor_weights:
        return (
            f"{what}: one scale serves all channels of its weights; convert it anew per channel, as the "
            "converter does unless told otherwise"
        )
    if tensor.clipped > _OUTSIDE and not tensor.sources:
        return (
            f"{what}: {tensor.clipped:.0%} of them lie outside what it was calibrated with; the two models "
            "may expect other inputs, see --mean and --std"
        )
    if tensor.clipped > _CLIPPED:
        return (
            f"{what}: {tensor.clipped:.0%} of them lie outside the calibrated range; give representative "
            "data that cover what it sees"
        )
    return f"{what}: try int16x8 or dynamic, or train it for quantization with shoal optimize"


def short(name: str) -> str:
    """The part of a tensor's name that tells it from others: converters join the names of what they fuse."""
    first = name.partition(";")[0]
    while len(first) > _NAME_MAX and "/" in first:
        first = first.partition("/")[2]
    return first if len(first) <= _NAME_MAX else f"...{first[3 - _NAME_MAX :]}"


def apart(names: Sequence[str]) -> tuple[str, ...]:
    """The names without the fused ones, and without the folders that most of them begin with."""
    found = [name.partition(";")[0] for name in names]
    while True:
        folders = Counter(name.partition("/")[0] for name in found if "/" in name)
        most = folders.most_common(1)
        if not most or 2 * most[0][1] <= len(found):
            return tuple(found)
        found = [name.removeprefix(f"{most[0][0]}/") for name in found]
