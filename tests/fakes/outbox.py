"""An outbox in memory, with a disk that can refuse."""

from collections.abc import Callable, Sequence

from agent.core.telemetry.outbox import Kept
from agent.wire.errors import StoreFailed


class MemoryOutbox:
    """See `agent.ports.outbox.Outbox`; `room` is how many messages fit."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.refuses = False
        """The disk is full."""
        self.unsyncable = False
        self.flushes = 0
        self.closed = False
        self._room = room
        self._waiting: list[Kept] = []
        self._last = 0
        self._taken = 0
        self._dropped = 0
        self._told = 0
        self._adrift: set[int] = set()

    def put(self, topic: str, payload: bytes) -> bool:
        if self.refuses:
            return False
        self._last += 1
        self._waiting.append(Kept(self._last, topic, payload))
        if len(self._waiting) > self._room:
            gone = self._waiting.pop(0)
            if gone.serial <= self._taken:
                self._adrift.add(gone.serial)
            else:
                self._taken = gone.serial
                self._dropped += 1
        return True

    def ready(self) -> bool:
        return self._last > self._taken

    def take(self, limit: int) -> Sequence[Kept]:
        taken = [kept for kept in self._waiting if kept.serial > self._taken][:limit]
        self._taken = taken[-1].serial if taken else self._taken
        return taken

    def rewind(self) -> None:
        self._dropped += len(self._adrift)
        self._adrift.clear()
        self._taken = self._waiting[0].serial - 1 if self._waiting else self._last

    def forget(self, serial: int) -> None:
        self._adrift = {adrift for adrift in self._adrift if adrift > serial}
        self._waiting = [kept for kept in self._waiting if kept.serial > serial]

    def depth(self) -> int:
        return len(self._waiting)

    def dropped(self) -> int:
        return self._dropped

    def untold(self) -> int:
        return self._dropped - self._told

    def told(self, dropped: int) -> None:
        self._told = dropped

    def lose(self) -> None:
        self._dropped += 1

    def flush(self) -> Callable[[], None]:
        self.flushes += 1

        def run() -> None:
            if self.unsyncable:
                raise StoreFailed("could not make the outbox safe: input/output error")

        return run

    def close(self) -> None:
        self.closed = True
