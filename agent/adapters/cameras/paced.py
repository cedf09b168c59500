"""What the cameras without hardware share: pictures of their own, shown at the rhythm of a rate."""

from collections.abc import Callable
from datetime import timedelta

from agent.core.camera.frames import Frame, Pixels
from agent.core.camera.pace import SECOND_NS, Pace
from agent.ports.clock import Clock


class Show:
    """Frames at the rate, each exposed when it was due; rate 0: one as often as it is asked."""

    def __init__(self, rate_fps: float, clock: Clock, sleep: Callable[[float], None]) -> None:
        self._pace, self._clock, self._sleep = Pace(rate_fps), clock, sleep

    def begin(self) -> None:
        self._pace.begin(self._clock.monotonic_ns())

    def frame(self, picture: Callable[[int], tuple[str, Pixels]]) -> Frame:
        """The frame that is due next.

        Args:
            picture: gives the name and the pixels of the frame with this number, while there is time left.
        """
        due = self._pace.due(self._clock.monotonic_ns())
        name, pixels = picture(due.index)
        early_ns = due.at_ns - self._clock.monotonic_ns()
        if early_ns > 0:
            self._sleep(early_ns / SECOND_NS)
        age_ns = self._clock.monotonic_ns() - due.at_ns
        return Frame(
            pixels=pixels,
            sequence=due.index,
            captured_ns=due.at_ns,
            captured_at=self._clock.now() - timedelta(microseconds=age_ns / 1000),
            name=name,
        )
