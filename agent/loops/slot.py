"""Where a thread leaves its latest value for another: a fresher one replaces it."""

from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds one value at most, so that a slow taker gets a fresh one and memory stays flat."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._value: T | None = None
        self._nudged = False

    def put(self, value: T) -> bool:
        """Leave the value, without waiting; true if it replaced one that nobody took."""
        with self._changed:
            replaced = self._value is not None
            self._value = value
            self._changed.notify()
            return replaced

    def nudge(self) -> None:
        """Make one `take` return at once, with what there is."""
        with self._changed:
            self._nudged = True
            self._changed.notify()

    def take(self, timeout_s: float) -> T | None:
        """Wait for a value and remove it; None after the time, or after a nudge."""
        with self._changed:
            self._changed.wait_for(lambda: self._value is not None or self._nudged, timeout_s)
            value, self._value = self._value, None
            self._nudged = False
            return value
