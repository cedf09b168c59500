"""How much a quantized classifier still says what its float original says, from the scores of both."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deploy.core.factory.evaluation.seen import TOP

Scores = NDArray[Any]

CONFIDENT_SCORE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts of crops; scores are probabilities in [0, 1]."""

    crops: int
    same_first: int
    """Both models name the same class first."""
    first_in_top5: int
    """The float model's first class is among the quantized model's five."""
    confident: int
    """The float model's first score is at least `CONFIDENT_SCORE`."""
    confident_same_first: int
    score_difference_mean: float
    """Distance of the two scores of the float model's first class."""
    score_difference_max: float


def compare(float_scores: Scores, quantized_scores: Scores) -> Agreement:
    """Compares two models over the same crops, one row of scores for each.

    Raises:
        ValueError: the two tables differ in shape or are empty.
    """
    if float_scores.shape != quantized_scores.shape or float_scores.ndim != 2 or not float_scores.size:
        raise ValueError(f"cannot compare scores of shapes {float_scores.shape} and {quantized_scores.shape}")
    first = float_scores.argmax(axis=1)
    rows = np.arange(len(first))
    same = quantized_scores.argmax(axis=1) == first
    confident = float_scores[rows, first] >= CONFIDENT_SCORE
    differences = np.abs(float_scores[rows, first] - quantized_scores[rows, first])
    return Agreement(
        crops=len(first),
        same_first=int(same.sum()),
        first_in_top5=int((_top5(quantized_scores) == first[:, np.newaxis]).any(axis=1).sum()),
        confident=int(confident.sum()),
        confident_same_first=int((same & confident).sum()),
        score_difference_mean=float(differences.mean()),
        score_difference_max=float(differences.max()),
    )


def _top5(scores: Scores) -> Scores:
    return np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
