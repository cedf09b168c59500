"""How large a wave is: a number of devices, a share of them, or everybody."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from deploy.core.refusal import Refused

_COUNT: Final = re.compile(r"[1-9][0-9]{0,8}")
_SHARE: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?%")


@dataclass(frozen=True, slots=True)
class Devices:
    count: int


@dataclass(frozen=True, slots=True)
class Portion:
    share: Fraction
    """In (0, 1)."""


@dataclass(frozen=True, slots=True)
class Everybody:
    """Whoever there is, and whoever joins later."""


Size = Devices | Portion | Everybody


def parse(text: str) -> Size:
    """`all`, `100%`, a share such as `5%` or `0.5%`, or a number of devices such as `1`.

    Raises:
        Refused: it is none of these, or nobody.
    """
    if text == "all":
        return Everybody()
    if _COUNT.fullmatch(text):
        return Devices(int(text))
    share = Fraction(text[:-1]) / 100 if _SHARE.fullmatch(text) else Fraction(0)
    if not 0 < share <= 1:
        raise Refused(f"{text[:40]!r} is no wave: write a number of devices, a share such as 5%, or all")
    return Everybody() if share == 1 else Portion(share)


def waves(text: str) -> tuple[str, ...]:
    """The waves in `1,5%,25%,100%`, as an order holds them.

    Raises:
        Refused: one is none, or is not larger than the one before it, as far as that can be told without
            counting the fleet.
    """
    texts = tuple(part.strip() for part in text.split(","))
    sizes = [parse(each) for each in texts]
    for (before, smaller), (after, larger) in zip(
        _pairs(texts, sizes), _pairs(texts, sizes)[1:], strict=False
    ):
        if not _may_grow(smaller, larger):
            raise Refused(f"wave {after} is not larger than wave {before} before it: waves must grow")
    return texts


def _pairs(texts: Iterable[str], sizes: Iterable[Size]) -> list[tuple[str, Size]]:
    return list(zip(texts, sizes, strict=True))


def _may_grow(smaller: Size, larger: Size) -> bool:
    match smaller, larger:
        case Devices(one), Devices(other):
            return one < other
        case Portion(one_share), Portion(other_share):
            return one_share < other_share
        case Everybody(), _:
            return False
        case _:
            return True


def count(size: Size, known: int) -> int:
    """How many of so many devices; a share is rounded up: 5 % of 20 devices is one, no coin toss."""
    match size:
        case Devices(wanted):
            return min(wanted, known)
        case Portion(share):
            return -(-known * share.numerator // share.denominator)
        case Everybody():
            return known
