"""What must reach the broker, kept on disk until it has."""

from collections.abc import Callable, Sequence
from typing import Protocol

from agent.core.telemetry.outbox import Kept


class Outbox(Protocol):
    """First in, first out, bounded: the oldest are dropped where there is no room, and counted.

    Used by one thread; only what `flush` returns may run on another. What was put outlives the process at
    once, and a power cut after the next flush. After `open`, the messages that no one forgot are there
    again.
    """

    def put(self, topic: str, payload: bytes) -> bool:
        """Keep it behind the others; False where the disk refuses, and nothing is kept or counted."""
        ...

    def ready(self) -> bool:
        """Whether one waits that was not taken yet."""
        ...

    def take(self, limit: int) -> Sequence[Kept]:
        """The next that were not taken yet, oldest first."""
        ...

    def rewind(self) -> None:
        """What was taken and not forgotten is there to be taken again."""
        ...

    def forget(self, serial: int) -> None:
        """This one and all before it have arrived."""
        ...

    def depth(self) -> int:
        """How many wait, those that were taken too."""
        ...

    def dropped(self) -> int:
        """How many never arrived, over the outbox's whole life."""
        ...

    def untold(self) -> int:
        """How many of them nobody has heard of."""
        ...

    def told(self, dropped: int) -> None:
        """The broker knows that so many were dropped."""
        ...

    def lose(self) -> None:
        """Count one that could not be kept, and did not arrive either."""
        ...

    def flush(self) -> Callable[[], None]:
        """What makes all that was put so far outlive a power cut: blocking, for a thread; nothing to do
        where all has arrived.

        The call that is returned raises:
            StoreFailed: the disk refused.
        """
        ...

    def close(self) -> None:
        """Nothing that was forgotten comes again, nothing else is lost. Idempotent."""
        ...
