"""Hands what is new to everybody who watches, on the event loop; nobody waits for the slowest."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Final

BACKLOG_MAX_BYTES: Final = 4_000_000
"""Of one who reads slower than the fleet speaks: its stream ends, and it comes back and reads all anew."""


class _Listener:
    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.bytes, self.over = 0, False
        self.woken = asyncio.Event()

    def tell(self, events: bytes) -> None:
        self.waiting.append(events)
        self.bytes += len(events)
        self.over = self.over or self.bytes > BACKLOG_MAX_BYTES
        self.woken.set()

    async def next(self) -> bytes | None:
        await self.woken.wait()
        if self.over:
            return None
        self.woken.clear()
        taken = b"".join(self.waiting)
        self.waiting.clear()
        self.bytes = 0
        return taken


class Fanout:
    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def tell(self, events: bytes) -> None:
        if events:
            for listener in self._listeners:
                listener.tell(events)

    async def listen(self, first: Callable[[], bytes]) -> AsyncGenerator[bytes, None]:
        """
        Args:
            first: what is said before all else, asked when nothing can be missed any more.
        """
        listener = _Listener()
        self._listeners.add(listener)
        try:
            yield first()
            while (events := await listener.next()) is not None:
                yield events
        finally:
            self._listeners.discard(listener)
