"""A device that no longer announces itself takes back what it had announced, once."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from agent.core.homeassistant.announcing import Announced
from agent.loops.connection import Connection
from agent.ports.announced import AnnouncedMemory
from agent.ports.link import Link, Outgoing
from agent.wire.errors import LinkDown, StoreFailed
from agent.wire.topics import Qos

log = logging.getLogger(__name__)

RETRY_S: Final = 5.0


class Farewell:
    def __init__(self, link: Link, connection: Connection, memory: AnnouncedMemory) -> None:
        self._link, self._connection, self._memory = link, connection, memory

    async def run(self) -> None:
        """Ends when nothing of it stands on the broker any more."""
        before = await asyncio.to_thread(self._memory.load)
        if not before.topics:
            return
        await clear(self._link, self._connection, before.topics)
        log.info("homeassistant.removed", extra={"topics": len(before.topics)})
        try:
            await asyncio.to_thread(self._memory.save, Announced())
        except StoreFailed as error:
            log.warning("homeassistant.not_forgotten", extra={"error": str(error)})


async def clear(link: Link, connection: Connection, topics: Iterable[str]) -> None:
    """Take these retained messages away; returns when the broker has acknowledged it for each."""
    left = list(topics)
    while left:
        await connection.wait_up()
        try:
            await asyncio.wrap_future(link.publish(Outgoing(left[-1], b"", Qos.AT_LEAST_ONCE, retain=True)))
        except LinkDown:
            await asyncio.sleep(RETRY_S)
        else:
            left.pop()
