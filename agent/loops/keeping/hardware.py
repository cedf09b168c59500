"""Sees Edge TPUs come and go."""

import asyncio
import logging
from collections.abc import Callable

from agent.core.edgetpu.words import Obstacle, Tpu, Trouble
from agent.ports.accelerator import Accelerator, Sight
from agent.wire.ipc import EdgeTpu

log = logging.getLogger(__name__)

LOOK_S = 30.0
RARELY_S = 600.0
"""Where the library is missing it takes a person to install it, and a look is a process."""

_BY_HAND = frozenset(
    {Obstacle.LIBRARY_MISSING, Obstacle.LIBUSB_MISSING, Obstacle.LIBRARY_UNUSABLE, Obstacle.NOT_A_DELEGATE}
)


class HardwareWatch:
    """Looks without opening, so that it never keeps the worker from its Edge TPU."""

    def __init__(
        self, accelerator: Accelerator, edgetpu: EdgeTpu, seen: Sight, changed: Callable[[Sight], None]
    ) -> None:
        """
        Args:
            accelerator: what is looked at.
            edgetpu: the library to ask.
            seen: what there was at the start.
            changed: told whenever there are others than before.
        """
        self._accelerator, self._edgetpu, self._changed = accelerator, edgetpu, changed
        self._sight = seen
        self._tpus: tuple[Tpu, ...] | None = seen.tpus
        self._once_more = asyncio.Event()

    def forget(self) -> None:
        """One was lost: whatever is seen next is news."""
        self._tpus = None
        self._once_more.set()

    async def look(self) -> Sight:
        sight = await self._accelerator.look(self._edgetpu)
        if sight.tpus != self._tpus:
            log.info("hardware.changed", extra={"edgetpu": list(sight.names)})
            self._changed(sight)
        self._sight, self._tpus = sight, sight.tpus
        return sight

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._once_more.clear()
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._once_more.wait()
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(LOOK_S)
            await self.look()

    def _pause_s(self) -> float:
        finding = self._sight.finding
        by_hand = isinstance(finding, Trouble) and finding.obstacle in _BY_HAND
        return RARELY_S if by_hand else LOOK_S
