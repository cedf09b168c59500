"""When a camera that has no hardware shows which frame, and when something limited may happen again."""

from dataclasses import dataclass
from typing import Final

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Due:
    """The frame number `index` (from 0) is exposed at `at_ns` on the monotonic clock."""

    index: int
    at_ns: int


class Pace:
    """The schedule of a camera with this many frames a second; 0: a frame whenever one is asked for.

    The instants are start + index / rate, computed from the start each time, so that lateness never
    adds up.
    """

    def __init__(self, rate_fps: float) -> None:
        self._rate_fps = rate_fps
        self._start_ns = 0
        self._last = -1

    def begin(self, now_ns: int) -> None:
        """The next frame is due now; after a pause the numbers go on where they were."""
        self._start_ns = now_ns - self._offset_ns(self._last + 1)

    def due(self, now_ns: int) -> Due:
        """The frame to show next.

        A reader in time is given the following frame, to wait for; a late one gets the freshest that is
        due, and the frames between are lost, as they are with a real camera.
        """
        if self._rate_fps == 0:
            self._last += 1
            return Due(self._last, now_ns)
        freshest = int((now_ns - self._start_ns) * self._rate_fps / SECOND_NS)
        self._last = max(freshest, self._last + 1)
        return Due(self._last, self._start_ns + self._offset_ns(self._last))

    def _offset_ns(self, index: int) -> int:
        return round(index * SECOND_NS / self._rate_fps) if self._rate_fps else 0


class Gate:
    """Lets at most this many a second through; None: all, 0: none.

    The instants lie on a grid, so that coming a little late does not lower the rate: over any span of
    T seconds fewer than T * fps_max + 2 pass. After a silence the grid begins anew: nothing is caught up.
    """

    def __init__(self, fps_max: float | None, now_ns: int) -> None:
        self.shut = fps_max == 0
        self.opens_ns = now_ns
        """When the next may pass."""
        self._step_ns = round(SECOND_NS / fps_max) if fps_max else 0

    def open(self, now_ns: int) -> bool:
        return not self.shut and now_ns >= self.opens_ns

    def passed(self, now_ns: int) -> None:
        """One went through."""
        following_ns = self.opens_ns + self._step_ns
        self.opens_ns = following_ns if following_ns > now_ns else now_ns + self._step_ns
