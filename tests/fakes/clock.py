from datetime import UTC, datetime, timedelta


class FakeClock:
    """Stands still until it is told to go; the system clock and the monotonic one go apart only in `set`."""

    def __init__(
        self, now: datetime = datetime(2026, 6, 1, 12, 0, tzinfo=UTC), *, synchronized: bool = True
    ) -> None:
        self._now = now
        self._monotonic_ns = 1_000_000_000
        self._synchronized = synchronized

    def now(self) -> datetime:
        return self._now

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def synchronized(self) -> bool:
        return self._synchronized

    def advance(self, seconds: float) -> None:
        """Time passes on both clocks."""
        self._now += timedelta(seconds=seconds)
        self._monotonic_ns += round(seconds * 1e9)

    def set(self, now: datetime) -> None:
        """The system clock jumps, as it does at a time synchronization; the monotonic one does not."""
        self._now = now

    def set_synchronized(self, *, to: bool) -> None:
        self._synchronized = to
