"""A camera for hosts without one: a bright square that wanders over a gradient."""

import time
from collections.abc import Callable

import numpy as np

from agent.adapters.cameras.paced import Show
from agent.core.camera.frames import Frame, Pixels
from agent.ports.clock import Clock

STEPS = 16
"""Frames after which the pattern repeats; all are drawn beforehand, so that reading costs nothing."""


class PatternCamera:
    """Frames of height x width pixels at the rate; rate 0 gives one as often as it is asked."""

    def __init__(
        self,
        height_px: int,
        width_px: int,
        rate_fps: float,
        clock: Clock,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._frames = _draw(height_px, width_px)
        self.on_demand = rate_fps == 0
        self.sensor, self.kind, self.note = False, "pattern", ""
        self._show = Show(rate_fps, clock, sleep)

    def open(self) -> None:
        self._show.begin()

    def read(self) -> Frame:
        return self._show.frame(self._picture)

    def close(self) -> None:
        pass

    def _picture(self, index: int) -> tuple[str, Pixels]:
        step = index % STEPS
        return f"pattern-{step}", self._frames[step]


def _draw(height_px: int, width_px: int) -> tuple[Pixels, ...]:
    rows = np.linspace(0, 255, height_px, dtype=np.uint8)[:, None]
    columns = np.linspace(0, 255, width_px, dtype=np.uint8)[None, :]
    ground = np.stack(np.broadcast_arrays(rows, columns, 255 - columns), axis=-1)
    side = max(1, min(height_px, width_px) // 4)
    frames = []
    for step in range(STEPS):
        frame = ground.copy()
        top = (height_px - side) * step // STEPS
        left = (width_px - side) * (step * 5 % STEPS) // STEPS
        frame[top : top + side, left : left + side] = 240
        frames.append(frame)
    return tuple(frames)
