"""When a camera that has no hardware shows which frame."""

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
