"""Where frames come from."""

from typing import Protocol

from agent.core.camera.frames import Frame


class Camera(Protocol):
    """Used by one thread."""

    on_demand: bool
    """It has no rhythm of its own: `read` never waits, so it is asked only when a frame is needed."""
    sensor: bool
    """A sensor sees the world: its noise makes no two frames alike, so its pictures tell of its health."""
    kind: str
    """As the configuration names it; what was taken, where that left the choice open."""
    note: str
    """In words, what a person should know of how it was opened; else empty."""

    def open(self) -> None:
        """
        Raises:
            CameraBusy: another process has it.
            CameraFailed: with the reason and what to do about it, parted by a semicolon.
        """
        ...

    def read(self) -> Frame:
        """Wait for the next frame and return it; sequence numbers count what the camera gave.

        Raises:
            CameraFrozen: none came in time; close and open it again.
            CameraFailed: the camera is gone; the same.
        """
        ...

    def close(self) -> None:
        """Idempotent."""
        ...
