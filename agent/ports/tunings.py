"""What was measured of models on this host, and outlives a restart."""

from typing import Protocol

from agent.core.serving.tuning import Tuning


class Tunings(Protocol):
    def load(self) -> tuple[Tuning, ...]:
        """Nothing where nothing was kept, or it cannot be read: it is measured again."""
        ...

    def save(self, tunings: tuple[Tuning, ...]) -> None:
        """
        Raises:
            StoreFailed: the disk refused.
        """
        ...
