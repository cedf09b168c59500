"""What the page of a device asks of the daemon."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from typing import Protocol

from agent.core.page.words import Happening, Now
from agent.wire.ipc import Snapped


class Showing(Protocol):
    """On the event loop. While nobody listens it costs nothing, and no picture is encoded."""

    def now(self) -> Now: ...

    def listening(self) -> AbstractContextManager[AsyncIterator[tuple[Happening, ...]]]:
        """All that happens from now on, in batches; a listener that is too slow misses the oldest frames."""
        ...

    async def frame(self, pipeline: str, after: int) -> Snapped:
        """A picture of a frame with a higher sequence number than `after`, as soon as there is one; several
        who ask at once are given the same.

        Raises:
            Unavailable: the device has no such pipeline.
            CameraFailed: there is no frame to be had.
        """
        ...

    async def accept(self, pipeline: str, version: str) -> None:
        """Begin the release that waits for it.

        Raises:
            Unavailable: no such release waits.
        """
        ...

    def pause(self, pipeline: str, *, paused: bool) -> None: ...
