"""The onlooker's thread as the event loop sees it."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

PERIOD_S: Final = 0.6
"""At least, between two looks; and three times as long as a look takes, up to PERIOD_MAX_S."""
PERIOD_MAX_S: Final = 3.0
UNWATCHED_S: Final = 5.0
"""As long as nobody watches."""
WATCHED_S: Final = 30.0
"""After somebody asked for something."""


class LookerThread:
    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="onlooker")
        self._asked = asyncio.Event()
        self._asked_s = float("-inf")

    async def run(self, work: Callable[[], T]) -> T:
        """On that thread, after what it is at."""
        self.asked()
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def asked(self) -> None:
        """Somebody is there: look often from now on."""
        now = time.monotonic()
        if now - self._asked_s > WATCHED_S:
            self._asked.set()
        self._asked_s = now

    async def turn(
        self, look: Callable[[], bytes], tell: Callable[[bytes], None], watched: Callable[[], bool]
    ) -> None:
        """Look for ever."""
        loop = asyncio.get_running_loop()
        while True:
            begun = time.monotonic()
            tell(await loop.run_in_executor(self._executor, look))
            now = time.monotonic()
            busy = watched() or now - self._asked_s < WATCHED_S
            pause_s = min(max(PERIOD_S, 3 * (now - begun)), PERIOD_MAX_S) if busy else UNWATCHED_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), pause_s)
            self._asked.clear()

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)
