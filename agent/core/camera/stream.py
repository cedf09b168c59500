"""The rhythm of a stream of pictures: how late one is, and which ones are wanted."""

from typing import Final

SECOND_NS: Final = 1_000_000_000
DRIFT: Final = 2e-4
"""How far the sender's clock may run slow against ours: two bad quartzes."""
BREAK_NS: Final = 10 * SECOND_NS
"""A stamp this far off begins a new count: the sender has started again."""
EARLY_SHARE: Final = 0.25
"""Of a period: a frame may come so much before its time and still be the one that is due."""


class Lateness:
    """How long a picture was on its way beyond the fastest one: what waits in buffers grows old unseen.

    The sender's stamps and our clock begin anywhere; the least difference between the two stands for a
    picture that was not held up. It is let grow slowly, so that a drifting clock does not look like delay.
    """

    def __init__(self) -> None:
        self._least_ns: float | None = None
        self._last_ns = 0

    def late_ns(self, now_ns: int, stamp_ns: int) -> float:
        apart_ns = float(now_ns - stamp_ns)
        least_ns = self._least_ns
        if least_ns is None or abs(apart_ns - least_ns) > BREAK_NS:
            least_ns = apart_ns
        else:
            least_ns = min(apart_ns, least_ns + DRIFT * (now_ns - self._last_ns))
        self._least_ns, self._last_ns = least_ns, now_ns
        return apart_ns - least_ns


class Thinning:
    """Which pictures of a faster stream make up the wanted rate (0: all of them)."""

    def __init__(self, rate_fps: float) -> None:
        self._period_ns = SECOND_NS / rate_fps if rate_fps else 0.0
        self._next_ns = -float("inf")

    def wanted(self, at_ns: float) -> bool:
        if at_ns < self._next_ns - EARLY_SHARE * self._period_ns:
            return False
        self._next_ns = max(self._next_ns, at_ns - EARLY_SHARE * self._period_ns) + self._period_ns
        return True


class Numbers:
    """Sequence numbers that go on where they were when a camera that counts from 0 takes over."""

    def __init__(self, last: int = -1) -> None:
        self._last, self._add = last, 0
        self._fresh = True

    def begin(self) -> None:
        """Another camera counts from now on."""
        self._fresh = True

    def next(self, sequence: int) -> int:
        if self._fresh:
            self._add, self._fresh = max(0, self._last + 1 - sequence), False
        self._last = sequence + self._add
        return self._last
