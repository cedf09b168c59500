"""Which failures a wave can show: the arithmetic of so many devices, each failing by chance or not.

Of `n` devices that each fail with probability p, the number that fails is binomial. A gate that forgives
`allowed` of them sees the release with probability P(X > allowed); for allowed = 0 that is 1 - (1 - p)^n.
"""

from math import exp, lgamma, log, log1p
from typing import Final

SURE: Final = 0.95
_STEPS: Final = 50
"""Of bisection: more than a float has digits."""


def chance(n: int, allowed: int, share: float) -> float:
    """P(X > allowed) for X binomial with `n` and `share`, which lies in [0, 1]."""
    if allowed >= n or share <= 0.0:
        return 0.0
    if share >= 1.0:
        return 1.0
    return max(0.0, 1.0 - sum(_probability(n, k, share) for k in range(allowed + 1)))


def sees(n: int, allowed: int) -> float | None:
    """The smallest share of failing devices that the gate sees with probability SURE; None: not even if all
    fail.
    """
    return _share(n, allowed, SURE) if allowed < n else None


def misses(n: int, allowed: int) -> float:
    """The largest share of failing devices that the gate overlooks with probability SURE."""
    return _share(n, allowed, 1.0 - SURE) if allowed < n else 1.0


def _share(n: int, allowed: int, wanted: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if chance(n, allowed, middle) >= wanted else (middle, high)
    return high


def _probability(n: int, k: int, share: float) -> float:
    """By logarithms: the coefficients of 10,000 devices are no floats."""
    ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return exp(ways + k * log(share) + (n - k) * log1p(-share))
