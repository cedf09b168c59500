"""What the plots of a report show, before anything is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deploy.core.factory.evaluation import figures
from deploy.core.factory.evaluation.document import Accuracy, ClassFigures, Evaluation, Rate, Report

MATRIX_MAX = 10
"""Classes that a confusion matrix is readable with; of more, the worst pairs are listed."""
ROWS_MAX = 16


@dataclass(frozen=True, slots=True)
class Point:
    """A model in the plane of what it costs and how good it is."""

    place: int
    """Of the model in its report."""
    name: str
    pulled_mb: float
    invoke_ms: float
    rate: Rate


def points(report: Report) -> tuple[str, tuple[Point, ...]]:
    """What is held against the cost, and each model's place."""
    labelled = any(model.evaluation.accuracy for model in report.models)
    said = "top-1" if labelled else "agreement with the reference"
    found = tuple(
        Point(
            place,
            model.evaluation.model.file,
            model.evaluation.model.pulled / 1e6,
            model.latency.invoke_p50_ms,
            rate,
        )
        for place, model in enumerate(report.models)
        if (rate := _rate(model.evaluation)) is not None
    )
    return said, found


def _rate(evaluation: Evaluation) -> Rate | None:
    if evaluation.accuracy is not None:
        return evaluation.accuracy.top1
    return None if evaluation.beside is None else evaluation.beside.same_first


@dataclass(frozen=True, slots=True)
class Matrix:
    labels: tuple[str, ...]
    counts: NDArray[np.int64]
    """Truth x named."""


def matrix(accuracy: Accuracy) -> Matrix | None:
    """None where there are too many classes to read one."""
    labels = tuple(each.label for each in accuracy.classes)
    if len(labels) > MATRIX_MAX:
        return None
    counts = np.zeros((len(labels), len(labels)), np.int64)
    for place, each in enumerate(accuracy.classes):
        counts[place, place] = each.right
    for pair in accuracy.confused:
        counts[labels.index(pair.truth), labels.index(pair.named)] = pair.count
    return Matrix(labels, counts)


def recalls(accuracy: Accuracy) -> tuple[tuple[str, Rate], ...]:
    """Of each class; of many, those that are surely recognized worst."""
    there = [each for each in accuracy.classes if each.support]
    if len(there) > ROWS_MAX:
        there = sorted(there, key=_upper)[:ROWS_MAX]
    return tuple((each.label, figures.rate(each.right, each.support)) for each in there)


def _upper(each: ClassFigures) -> tuple[float, str]:
    return figures.rate(each.right, each.support).high, each.label


def called(label: str) -> str:
    """The first of several names (`tench, Tinca tinca`)."""
    return label.partition(",")[0]


def shorten(names: Sequence[str], most: int = 26) -> list[str]:
    """Without what they all end in, and cut in the middle."""
    ending = ".tflite"
    if all(name.endswith(ending) for name in names):
        names = [name.removesuffix(ending) for name in names]
    half = (most - 3) // 2
    return [name if len(name) <= most else f"{name[:half]}...{name[-half:]}" for name in names]
