"""Arrays to learn from: a sample and the number of its class, checked against the model and divided."""

from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from agent.core.inference import tensors
from agent.core.tflite import invocation
from agent.wire.documents import Normalization
from deploy.core.factory.words import Look
from deploy.core.refusal import Refused

SAMPLES_MIN: Final = 20


class Inputs(Protocol):
    """An array of samples, or what looks them up on disk."""

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]: ...


@dataclass(frozen=True, slots=True)
class Taught:
    inputs: Inputs
    """Count x the model's input: floats as the model takes them, or bytes, which are levels of pixels."""
    labels: NDArray[np.int64]
    scaling: Normalization = tensors.UNDECLARED
    """Of bytes."""

    def batch(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """These samples as the model takes them: as numbers all of them would fill the memory."""
        found = self.inputs[rows]
        if found.dtype != np.uint8:
            return found
        mean, std = (np.asarray(each, np.float32) for each in (self.scaling.mean, self.scaling.std))
        return ((found.astype(np.float32) - mean) / std).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Lesson:
    training: Taught
    held_out: Taught
    """Takes no part in training; judges before and after."""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the model takes and gives."""

    shape: tuple[int, ...]
    """Of one sample; -1: open."""
    classes: int


def check(inputs: NDArray[Any], labels: NDArray[Any], wanted: Wanted, look: Look, place: str) -> Taught:
    """
    Args:
        inputs: numbers as the model takes them; bytes are levels of pixels, and are scaled as `look` says.
        labels: the number of each sample's class.
        wanted: what the model takes and gives.
        look: how pixels are scaled.
        place: where they come from, for the refusal.

    Raises:
        Refused: they are not what this model can learn from.
    """
    if not inputs.ndim or not invocation.fits(inputs.shape[1:], wanted.shape):
        raise Refused(
            f"{place}: x has the shape {invocation.said(inputs.shape)}, and the model takes samples of "
            f"{invocation.said(wanted.shape)}: give that, with the samples along the first axis"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise Refused(
            f"{place}: y is {labels.dtype} of the shape {invocation.said(labels.shape)}: give the number of "
            "its class for each sample, from 0"
        )
    if len(inputs) != len(labels):
        raise Refused(f"{place} has {len(inputs)} samples in x and {len(labels)} in y: give as many of both")
    if len(labels) and not 0 <= labels.min() <= labels.max() < wanted.classes:
        raise Refused(
            f"{place}: y runs from {labels.min()} to {labels.max()}, and the model gives "
            f"{wanted.classes} numbers, for the classes 0 to {wanted.classes - 1}: give a model and data of "
            "the same classes"
        )
    numbers = inputs if inputs.dtype == np.uint8 else _numbers(inputs, place)
    return Taught(numbers, labels.astype(np.int64), look.normalization or tensors.UNDECLARED)


def _numbers(inputs: NDArray[Any], place: str) -> NDArray[np.float32]:
    if inputs.dtype.kind != "f":
        raise Refused(
            f"{place}: x is {inputs.dtype}: give floats as the model takes them, or pixels as uint8"
        )
    found = inputs.astype(np.float32, copy=False)
    if not np.isfinite(found).all():
        bad = int(np.argwhere(~np.isfinite(found))[0][0])
        raise Refused(f"{place}: sample {bad} of x has NaN or an infinity: take it out, or mend it")
    return found


def divide(taught: Taught, share: float, seed: int, place: str) -> Lesson:
    """Some of them are held out, drawn by the seed; each part keeps the order they had.

    Raises:
        Refused: there are too few.
    """
    count = len(taught.labels)
    if count < SAMPLES_MIN:
        raise Refused(
            f"{place} has {count} samples, at least {SAMPLES_MIN} are needed to learn from and to judge by: "
            "add some"
        )
    drawn = np.random.default_rng(seed).permutation(count)
    held_out = max(1, round(share * count))
    parts = (np.sort(drawn[held_out:]), np.sort(drawn[:held_out]))
    training, judging = (
        replace(taught, inputs=taught.inputs[rows], labels=taught.labels[rows]) for rows in parts
    )
    return Lesson(training, judging)
