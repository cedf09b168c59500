"""The commands that were obeyed, across restarts."""

from typing import Protocol

from agent.core.commands import Memory


class CommandMemory(Protocol):
    """Blocking, and used by one thread at a time."""

    def load(self) -> Memory | None:
        """What was saved last, an empty memory on a new device; None where it cannot be read."""
        ...

    def save(self, memory: Memory) -> None:
        """On disk when it returns.

        Raises:
            StoreFailed: the disk refused.
        """
        ...
