"""Where a feeder lays a camera's frames for others to read."""

from typing import Protocol

from agent.core.camera.frames import Frame
from agent.core.camera.ring import Told


class Ring(Protocol):
    def say(self, told: Told) -> None:
        """How the camera fares, for all readers."""
        ...

    def lay(self, frame: Frame) -> None:
        """The newest frame.

        Raises:
            CameraFailed: it does not fit.
        """
        ...
