"""Scores averaged over frames, so that one odd frame does not speak for a scene."""

import heapq
from collections import deque
from dataclasses import dataclass
from typing import Final

from agent.wire.reports import Ranked

_ONE: Final = 1 << 60
"""Scores are summed in integers of 2^-60: what is added and later taken away leaves no trace."""

_Scores = tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Class:
    label: str
    total: int = 0
    frames: int = 0
    """Of the window, that ranked it."""


class Smoother:
    """The mean of each class's score over the last `frames` frames, or as many as there were.

    A class that a frame did not rank counts as 0 in it: its score was below all that were ranked.
    """

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._window: deque[_Scores] = deque()
        self._classes: dict[int, _Class] = {}

    def add(self, ranked: tuple[Ranked, ...]) -> tuple[Ranked, ...]:
        """The ranking of the means with this frame in them, as many as it has itself, best first."""
        if self._frames == 1:
            return ranked
        self._count(ranked)
        if len(self._window) > self._frames:
            self._forget(self._window.popleft())
        whole = len(self._window) * _ONE
        best = heapq.nsmallest(len(ranked), ((-each.total, index) for index, each in self._classes.items()))
        return tuple(
            Ranked(index=index, label=self._classes[index].label, score=-total / whole)
            for total, index in best
        )

    def _count(self, ranked: tuple[Ranked, ...]) -> None:
        scores = tuple((each.index, round(each.score * _ONE)) for each in ranked)
        self._window.append(scores)
        for each, (index, score) in zip(ranked, scores, strict=True):
            known = self._classes.setdefault(index, _Class(each.label))
            known.total += score
            known.frames += 1

    def _forget(self, scores: _Scores) -> None:
        for index, score in scores:
            known = self._classes[index]
            known.total -= score
            known.frames -= 1
            if not known.frames:
                del self._classes[index]
