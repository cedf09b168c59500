"""The updates that have ended on a device, across restarts."""

from typing import Protocol

from agent.core.page.words import Past


class History(Protocol):
    """Blocking, and used by one thread at a time."""

    def load(self) -> tuple[Past, ...]:
        """Newest first; none where there are none, or where they cannot be read: nothing depends on them."""
        ...

    def save(self, past: tuple[Past, ...]) -> None:
        """On disk when it returns.

        Raises:
            StoreFailed: the disk refused.
        """
        ...
