"""Which of two models is better, in words; and when that cannot be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from deploy.core.factory import statistics
from deploy.core.factory.evaluation import Pair


@dataclass(frozen=True, slots=True)
class Marked:
    """A model, and which of the same pictures it got right."""

    name: str
    right: tuple[bool, ...]


def pairs(models: Sequence[Marked]) -> tuple[Pair, ...]:
    """Every two of them. With several pairs the probabilities are adjusted, since among twenty comparisons of
    equal models one looks like a difference.
    """
    chosen = list(combinations(range(len(models)), 2))
    counts = [_disagreements(models[one], models[other]) for one, other in chosen]
    adjusted = statistics.holm([statistics.mcnemar(*count) for count in counts])
    return tuple(
        _pair(places, (models[places[0]], models[places[1]]), count, p)
        for places, count, p in zip(chosen, counts, adjusted, strict=True)
    )


def _disagreements(one: Marked, other: Marked) -> tuple[int, int]:
    both = list(zip(one.right, other.right, strict=True))
    return sum(a and not b for a, b in both), sum(b and not a for a, b in both)


def _pair(places: tuple[int, int], models: tuple[Marked, Marked], counts: tuple[int, int], p: float) -> Pair:
    total = len(models[0].right)
    interval = statistics.paired_difference(*counts, total)
    needed = statistics.pictures_needed(*counts, total)
    return Pair(
        first=places[0],
        second=places[1],
        only_first_right=counts[0],
        only_second_right=counts[1],
        difference=(counts[0] - counts[1]) / total,
        low=interval.low,
        high=interval.high,
        p=p,
        pictures_needed=needed,
        verdict=_in_words(models, counts, p, needed),
    )


def _in_words(models: tuple[Marked, Marked], counts: tuple[int, int], p: float, needed: int | None) -> str:
    total = len(models[0].right)
    ahead, behind = models if counts[0] >= counts[1] else models[::-1]
    interval = statistics.paired_difference(max(counts), min(counts), total)
    points = f"{abs(counts[0] - counts[1]) / total * 100:.1f} points"
    between = f"95 %: {interval.low * 100:.1f} to {interval.high * 100:.1f}"
    on = f"on {total:,} picture{'' if total == 1 else 's'}"
    if counts[0] == counts[1]:
        return f"{ahead.name} and {behind.name} are right equally often {on} ({between} points)"
    if p < statistics.SIGNIFICANT:
        return f"{ahead.name} is better than {behind.name} by {points} {on} ({between}; p = {_p(p)})"
    enough = (
        f"about {_about(needed)} pictures would be needed to show it"
        if needed is not None and needed > total
        else "a few more pictures may tell"
    )
    told = f"{points} {on} ({between}; p = {_p(p)})"
    return f"{ahead.name} and {behind.name} cannot be told apart: {told}; {enough}"


def _p(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.2g}"


def _about(pictures: int) -> str:
    """Two digits: the estimate deserves no more."""
    unit = 10 ** max(0, len(str(pictures)) - 2)
    return f"{-(-pictures // unit) * unit:,}"
