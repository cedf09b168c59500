"""Empties the outboxes into the link: in order, acknowledged before anything is forgotten."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from agent.core.telemetry.outbox import Allowance
from agent.loops.connection import Connection
from agent.ports.link import Down, Link, LinkState, Outgoing
from agent.ports.outbox import Outbox
from agent.wire.errors import LinkDown, StoreFailed
from agent.wire.topics import Qos

log = logging.getLogger(__name__)

WINDOW: Final = 10
"""Messages on their way at once. The MQTT client sends 20 before the first acknowledgement, so reports
and answers never wait behind these."""
PAUSE_MIN_S: Final = 0.1
PAUSE_MAX_S: Final = 30.0
REFUSALS: Final = 3
"""In a row without one success, until it is worth a word: the first may be the connection's end."""
NOTICE_S: Final = 10.0
LINGER_S: Final = 0.5

Notice = Callable[[str, int, int], Outgoing]
"""Says that of this lane so many were dropped since it was last told, and how many in all."""


@dataclass(eq=False, slots=True)
class Lane:
    """Messages that keep their order among themselves, and how late they may reach the disk itself."""

    name: str
    outbox: Outbox
    flush_after_s: float
    stirred: asyncio.Event = field(default_factory=asyncio.Event)
    notice_due_s: float = 0.0
    noticing: bool = False


@dataclass(frozen=True, slots=True)
class _Flight:
    """A message on its way, and what to do once it is known whether the broker has it."""

    future: Future[None]
    landed: Callable[[], None]
    failed: Callable[[], None]


class Drain:
    """Lanes that stand first go first. Everything here runs on one event loop."""

    def __init__(
        self, link: Link, connection: Connection, lanes: Sequence[Lane], per_s: float, notice: Notice
    ) -> None:
        self._link, self._connection, self._lanes, self._notice = link, connection, tuple(lanes), notice
        self._allowance = Allowance(per_s)
        self._flying: deque[_Flight] = deque()
        self._stir, self._empty = asyncio.Event(), asyncio.Event()
        self._failures = 0
        self._dropped_before = sum(lane.outbox.dropped() for lane in lanes)

    def put(self, lane: Lane, outgoing: Outgoing) -> None:
        """Keep it, and send it when its turn comes: at once where nothing waits.

        Where the disk refuses it, it goes straight to the broker; if that fails too, or if it would
        overtake what waits, it is lost and counted.
        """
        self._empty.clear()
        if lane.outbox.put(outgoing.topic, outgoing.payload):
            lane.stirred.set()
            if self._connection.is_up:
                self._allowance.admit()
        elif lane.outbox.ready() or not self._connection.is_up:
            lane.outbox.lose()
        else:
            self._launch(_acknowledged(outgoing.topic, outgoing.payload), _nothing, lane.outbox.lose)
        self._stir.set()

    def configure(self, per_s: float) -> None:
        """How many of those that waited may leave a second, from now on."""
        self._allowance.per_s = per_s
        self._stir.set()

    def behind(self, lane: Lane) -> bool:
        """Whether what is put now has to wait for others, though there is a connection."""
        return self._connection.is_up and lane.outbox.depth() >= WINDOW

    def depth(self) -> int:
        """Messages that wait, all lanes together."""
        return sum(lane.outbox.depth() for lane in self._lanes)

    def dropped(self) -> int:
        """Messages that were given up since the agent started."""
        return sum(lane.outbox.dropped() for lane in self._lanes) - self._dropped_before

    @contextlib.asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """While the block runs; then what waits gets half a second to go."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._deliver(), name="outbox")]
            tasks += [
                group.create_task(self._flush(lane), name=f"outbox {lane.name}") for lane in self._lanes
            ]
            unwatch = self._connection.watch(self._turned)
            try:
                yield
            finally:
                await self._linger()
                unwatch()
                for task in tasks:
                    task.cancel()

    def close(self) -> None:
        """Once the link is closed: forget what it still delivered, and leave the rest for the next start."""
        with contextlib.suppress(LinkDown):
            self._land()
        for lane in self._lanes:
            lane.outbox.close()

    async def _linger(self) -> None:
        if self._connection.is_up and self.depth():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._empty.wait()

    async def _deliver(self) -> None:
        while True:
            await self._connection.wait_up()
            self._allowance.restart(_now_s())
            try:
                await self._while_up()
            except LinkDown as error:
                self._failed(str(error))
            self._come_back()
            await asyncio.sleep(min(PAUSE_MAX_S, PAUSE_MIN_S * 2 ** min(self._failures - 1, 16)))

    async def _while_up(self) -> None:
        """
        Raises:
            LinkDown: a message did not arrive.
        """
        while True:
            self._stir.clear()
            self._land()
            if not self._connection.is_up:
                return
            wait_s = self._send()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stir.wait()

    def _land(self) -> None:
        """
        Raises:
            LinkDown: the oldest message on its way did not arrive.
        """
        while self._flying and self._flying[0].future.done():
            self._flying[0].future.result()
            self._flying.popleft().landed()
            if self._failures >= REFUSALS:
                log.info("outbox.accepted-again")
            self._failures = 0
        if not self._flying and not self.depth():
            self._empty.set()

    def _turned(self, state: LinkState) -> None:
        if isinstance(state, Down):
            for lane in self._lanes:
                lane.notice_due_s = 0.0
        self._stir.set()

    def _failed(self, reason: str) -> None:
        self._failures += 1
        if self._failures == REFUSALS:
            log.warning("outbox.not-accepted", extra={"reason": reason})

    def _come_back(self) -> None:
        """Whatever was on its way goes again, from the first that did not arrive; nothing overtakes."""
        flying, self._flying = self._flying, deque()
        for flight in flying:
            flight.failed()
        for lane in self._lanes:
            lane.outbox.rewind()

    def _send(self) -> float | None:
        """Send what may go; the seconds until more may, None where only news can change that."""
        now_s = _now_s()
        waits_s = [wait_s for lane in self._lanes if (wait_s := self._send_notice(lane, now_s)) is not None]
        while len(self._flying) < WINDOW and (lane := self._next()) is not None:
            wait_s = self._allowance.ask(now_s)
            if wait_s > 0.0:
                waits_s.append(wait_s)
                break
            for kept in lane.outbox.take(1):
                landed = partial(lane.outbox.forget, kept.serial)
                self._launch(_acknowledged(kept.topic, kept.payload), landed, _nothing)
        return min(waits_s, default=None)

    def _next(self) -> Lane | None:
        return next((lane for lane in self._lanes if lane.outbox.ready()), None)

    def _send_notice(self, lane: Lane, now_s: float) -> float | None:
        """Ahead of what is left, as it is about older messages; the seconds until the next one is due."""
        untold = lane.outbox.untold()
        if not untold or lane.noticing:
            return None
        if now_s < lane.notice_due_s:
            return lane.notice_due_s - now_s
        lane.noticing, lane.notice_due_s = True, now_s + NOTICE_S
        dropped = lane.outbox.dropped()

        def told() -> None:
            lane.noticing = False
            lane.outbox.told(dropped)

        def untold_still() -> None:
            lane.noticing = False

        log.warning("outbox.dropped", extra={"lane": lane.name, "count": untold, "total": dropped})
        self._launch(self._notice(lane.name, untold, dropped), told, untold_still)
        return None

    def _launch(self, outgoing: Outgoing, landed: Callable[[], None], failed: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()

        def stir(_: Future[None]) -> None:
            # The link's thread may outlive the loop by a moment when everything ends.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._stir.set)

        future = self._link.publish(outgoing)
        self._flying.append(_Flight(future, landed, failed))
        future.add_done_callback(stir)

    async def _flush(self, lane: Lane) -> None:
        failing = False
        while True:
            await lane.stirred.wait()
            await asyncio.sleep(lane.flush_after_s)
            lane.stirred.clear()
            try:
                await asyncio.to_thread(lane.outbox.flush())
            except StoreFailed as error:
                if not failing:
                    log.warning("outbox.not-synced", extra={"lane": lane.name, "error": str(error)})
                failing = True
            else:
                failing = False


def _acknowledged(topic: str, payload: bytes) -> Outgoing:
    """What is kept is published so that the broker says when it has it, whatever its channel does else."""
    return Outgoing(topic, payload, Qos.AT_LEAST_ONCE, retain=False)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _nothing() -> None:
    pass
