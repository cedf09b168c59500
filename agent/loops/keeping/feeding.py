"""Keeps a feeder process alive."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from agent.core import backoff
from agent.ports.pipe import Child
from agent.wire.errors import Unavailable
from agent.wire.ipc import FromWorker, Message

log = logging.getLogger(__name__)

CALM_S: Final = 60.0
"""A feeder that has lived this long has left its ends behind."""
FIRST_DELAY_MAX_S: Final = 0.25
DELAY_MAX_S: Final = 10.0


class Random(Protocol):
    def random(self) -> float: ...


class FeederKeeper:
    def __init__(
        self, of: str, spawn: Callable[[], Awaitable[Child[Message, FromWorker]]], random: Random
    ) -> None:
        """
        Args:
            of: the pipeline whose camera it is.
            spawn: starts the process.
            random: for jitter.
        """
        self._of, self._spawn, self._random = of, spawn, random
        self.pid: int | None = None
        self.ends = 0
        """How often it has ended unasked."""

    async def run(self) -> None:
        """Until cancelled; then end it within two seconds."""
        attempt = 0
        while True:
            began_s = asyncio.get_running_loop().time()
            why = await self._live()
            self.ends += 1
            lived_s = asyncio.get_running_loop().time() - began_s
            log.warning("feeder.ended", extra={"of": self._of, "reason": why, "lived_s": round(lived_s, 1)})
            attempt = 0 if lived_s > CALM_S else attempt + 1
            # The first time at once: the readers are waiting for frames.
            if attempt > 1:
                chance = self._random.random()
                await asyncio.sleep(
                    backoff.delay_s(attempt - 2, chance, base_s=FIRST_DELAY_MAX_S, cap_s=DELAY_MAX_S)
                )

    async def _live(self) -> str:
        try:
            child = await self._spawn()
        except Unavailable as error:
            return str(error)
        self.pid = child.pid
        log.info("feeder.started", extra={"of": self._of, "pid": child.pid})
        try:
            while await child.receive() is not None:
                pass
            return await child.ended()
        finally:
            self.pid = None
            await child.close()
