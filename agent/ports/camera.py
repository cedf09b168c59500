"""Where frames come from."""

from typing import Protocol

from agent.core.frames import Frame


class Camera(Protocol):
    """Used by one thread."""

    on_demand: bool
    """It has no rhythm of its own: `read` never waits, so it is asked only when a frame is needed."""

    def open(self) -> None:
        """
        Raises:
            CameraFailed: with the reason and what to do about it.
        """
        ...

    def read(self) -> Frame:
        """Wait for the next frame and return it; sequence numbers count what the camera gave.

        Raises:
            CameraFailed: the camera is gone; close and open it again.
        """
        ...

    def close(self) -> None:
        """Idempotent."""
        ...
