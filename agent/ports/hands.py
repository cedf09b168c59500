"""What a signed command can have done on the device."""

from typing import Protocol

from agent.wire.commands import Checked, Finding, Frame, Lines, Looked
from agent.wire.ipc import Snapped

__all__ = ["Checked", "Finding", "Hands", "Machine"]


class Hands(Protocol):
    """Of one pipeline."""

    async def frame(self, wanted: Frame) -> Snapped:
        """A picture of the newest frame.

        Raises:
            CameraFailed: there is none.
        """
        ...

    async def look(self) -> Looked:
        """Look for accelerators anew and have what serves measured anew, which may take seconds longer.

        Raises:
            PortError: that failed; what served goes on serving.
        """
        ...

    def pause(self, *, paused: bool) -> None:
        """Classify nothing until told otherwise."""
        ...


class Machine(Protocol):
    """Of the whole device."""

    def log(self, lines: int) -> Lines:
        """The newest lines of the log, without secrets. Blocking."""
        ...

    async def check(self) -> Checked:
        """
        Raises:
            Unavailable: the examination did not end in time, or gave no findings.
        """
        ...
