"""How two models' answers to frames are compared: by label, and by what does not change."""

from collections.abc import Sequence

from agent.wire.reports import Ranked

SCORE_EPSILON = 1e-6


def label_key(label: str) -> str:
    """The label as it is compared: its first synonym, without case and outer space.

    Two lists of ImageNet's classes name one of them `tench` and `Tench, Tinca tinca`.
    """
    return label.partition(",")[0].strip().casefold()


def same_answer(one: Sequence[Ranked], other: Sequence[Ranked]) -> bool:
    """Whether both rank the same classes with the same scores: all of them, not only the best.

    A sound model that looks at a still scene repeats its best class, but its lesser scores follow the
    sensor's noise; a broken one repeats everything.
    """
    return len(one) == len(other) and all(
        a.index == b.index and abs(a.score - b.score) <= SCORE_EPSILON
        for a, b in zip(one, other, strict=True)
    )
