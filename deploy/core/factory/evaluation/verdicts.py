"""Which of two models is better, in words; and when that cannot be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from deploy.core.factory.evaluation import statistics
from deploy.core.factory.evaluation.document import Pair


@dataclass(frozen=True, slots=True)
class Marked:
    """A model, and which of the same pictures it got right."""

    name: str
    right: tuple[bool, ...]


def pairs(models: Sequence[Marked]) -> tuple[Pair, ...]:
    """Every two of them. With several pairs, probabilities and intervals hold for all pairs together: of
    twenty comparisons of equal models one looks like a difference.
    """
    chosen = list(combinations(range(len(models)), 2))
    counts = [_disagreements(models[one], models[other]) for one, other in chosen]
    adjusted = statistics.holm([statistics.mcnemar(*count) for count in counts])
    return tuple(
        _pair(places, (models[places[0]], models[places[1]]), _Found(count, p, len(chosen)))
        for places, count, p in zip(chosen, counts, adjusted, strict=True)
    )


def _disagreements(one: Marked, other: Marked) -> tuple[int, int]:
    both = list(zip(one.right, other.right, strict=True))
    return sum(a and not b for a, b in both), sum(b and not a for a, b in both)


@dataclass(frozen=True, slots=True)
class _Found:
    counts: tuple[int, int]
    """Pictures that only the first got right, and only the second."""
    p: float
    comparisons: int

    def interval(self, first: int, second: int, pictures: int) -> statistics.Interval:
        """One that holds together with those of the other comparisons (Bonferroni)."""
        return statistics.paired_difference(first, second, pictures, 1 - self._significance)

    def needed(self, pictures: int) -> int | None:
        return statistics.pictures_needed(*self.counts, pictures, self._significance)

    @property
    def _significance(self) -> float:
        return statistics.SIGNIFICANT / self.comparisons


def _pair(places: tuple[int, int], models: tuple[Marked, Marked], found: _Found) -> Pair:
    total = len(models[0].right)
    interval = found.interval(*found.counts, total)
    return Pair(
        first=places[0],
        second=places[1],
        only_first_right=found.counts[0],
        only_second_right=found.counts[1],
        difference=(found.counts[0] - found.counts[1]) / total,
        low=interval.low,
        high=interval.high,
        p=found.p,
        pictures_needed=found.needed(total),
        verdict=_in_words(models, found),
    )


def _in_words(models: tuple[Marked, Marked], found: _Found) -> str:
    total, counts = len(models[0].right), found.counts
    ahead, behind = models if counts[0] >= counts[1] else models[::-1]
    on = f"on {total:,} picture{'' if total == 1 else 's'}"
    interval = found.interval(max(counts), min(counts), total)
    between = f"95 %: {_points(interval.low)} to {_points(interval.high)}"
    if counts[0] == counts[1]:
        return f"{ahead.name} and {behind.name} are right equally often {on} ({between} points)"
    points = f"{abs(counts[0] - counts[1]) / total * 100:.1f} points {on} ({between}; {_p(found)})"
    if found.p < statistics.SIGNIFICANT:
        return f"{ahead.name} is better than {behind.name} by {points}"
    needed = found.needed(total)
    enough = (
        f"about {_about(needed)} pictures would be needed to show it"
        if needed is not None and needed > total
        else "a few more pictures may tell"
    )
    return f"{ahead.name} and {behind.name} cannot be told apart: {points}; {enough}"


def _p(found: _Found) -> str:
    said = "p below 0.001" if found.p < 0.001 else f"p = {found.p:.2g}"
    return said if found.comparisons == 1 else f"{said} among {found.comparisons} comparisons"


def _points(share: float) -> str:
    said = f"{share * 100:.1f}"
    return "0.0" if said == "-0.0" else said


def _about(pictures: int) -> str:
    """Two digits: the estimate deserves no more."""
    unit = 10 ** max(0, len(str(pictures)) - 2)
    return f"{-(-pictures // unit) * unit:,}"
