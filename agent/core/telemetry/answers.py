"""What a model answers, counted in bounded memory: its best labels, and how sure it was of them."""

from collections import Counter
from typing import Final

from agent.wire.ipc import Predicted
from agent.wire.reports import BINS

LABELS_MAX: Final = 1_024
"""More different labels are counted under the empty name."""
LABEL_MAX_CHARS: Final = 64
SCORE_MAX: Final = 1.001
"""Above it, or below 0, a score is no probability."""


class Answers:
    def __init__(self) -> None:
        self._confidence = [0] * BINS
        self._probabilities = True
        self._classes: Counter[str] = Counter()

    def add(self, seen: Predicted) -> None:
        """The best of its ranking; one without any ranking says nothing."""
        if seen.predictions:
            best = seen.predictions[0]
            self._scored(best.score)
            self._named(best.label)

    @property
    def confidence(self) -> tuple[int, ...]:
        """Best scores, in BINS equal bins over [0, 1]. Empty: there were none, or not probabilities."""
        return tuple(self._confidence) if self._probabilities and any(self._confidence) else ()

    def classes(self, told: int) -> dict[str, int]:
        """So many of the most frequent; the rest, and what had no name, under the empty one."""
        most = dict(self._classes.most_common(told))
        rest = self._classes.total() - sum(most.values())
        return most | {"": most.get("", 0) + rest} if rest else most

    def _scored(self, score: float) -> None:
        if 0.0 <= score <= SCORE_MAX:
            self._confidence[min(int(score * BINS), BINS - 1)] += 1
        else:
            self._probabilities = False

    def _named(self, label: str) -> None:
        name = label[:LABEL_MAX_CHARS]
        self._classes[name if name in self._classes or len(self._classes) < LABELS_MAX else ""] += 1
