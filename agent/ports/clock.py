"""Time, injected, so that tests own it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """UTC, timezone-aware; may be wrong on a Pi without a real-time clock."""
        ...

    def monotonic_ns(self) -> int: ...

    def synchronized(self) -> bool:
        """Whether the system clock is known to follow a time source."""
        ...
