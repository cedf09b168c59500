"""What was announced to a Home Assistant, across restarts."""

from typing import Protocol

from agent.core.homeassistant.announcing import Announced


class AnnouncedMemory(Protocol):
    """Blocking, and used by one thread at a time."""

    def load(self) -> Announced:
        """What was saved last; nothing where that cannot be read."""
        ...

    def save(self, announced: Announced) -> None:
        """On disk when it returns.

        Raises:
            StoreFailed: the disk refused.
        """
        ...
