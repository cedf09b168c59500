"""Announces the device to a Home Assistant, and again whenever that has started anew."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from agent.core.homeassistant.announcing import Announced, Portrait, announcement, encode, remembered
from agent.core.homeassistant.entities import Scene
from agent.loops.connection import Connection
from agent.loops.house.farewell import clear
from agent.loops.house.line import Line, Turns
from agent.ports.announced import AnnouncedMemory
from agent.ports.link import Link, LinkState, Message, Outgoing, Up
from agent.wire.errors import PortError, StoreFailed, Unavailable
from agent.wire.homeassistant import ONLINE, PAYLOAD_INSTALL, ModelState
from agent.wire.topics import FRAME, INSTALL, MODEL, House, Qos

log = logging.getLogger(__name__)

JITTER_S: Final = 5.0
"""A Home Assistant that has started hears from all its devices, and not in one instant."""
SAVE_RETRY_S: Final = 60.0
ORDER_MAX_BYTES: Final = 128


@dataclass(frozen=True, slots=True)
class Say:
    """What is said, to whom, and how often a picture is."""

    house: House
    scene: Scene
    portrait: Portrait
    frame_every_s: float


class HomeAssistant:
    """Everything but the link's callbacks runs on one event loop."""

    def __init__(
        self,
        link: Link,
        connection: Connection,
        memory: AnnouncedMemory,
        chance: Callable[[], float],
        say: Say,
        lines: Sequence[Line],
    ) -> None:
        self._link, self._connection, self._memory = link, connection, memory
        self._chance, self._say, self._lines = chance, say, tuple(lines)
        self._before: Announced | None = None
        """What was announced by the one before; None until it is remembered on disk what is announced now."""
        self._models: dict[str, ModelState] = {}
        """As told last."""
        self._timer: asyncio.TimerHandle | None = None

    def configure(self, window_s: float, silent_s: Mapping[str, float]) -> None:
        """Other rhythms from now on, as in `Scene`: the same entities, which expire otherwise."""
        scene = replace(self._say.scene, window_s=window_s, silent_s=silent_s)
        if scene != self._say.scene:
            self._say = replace(self._say, scene=scene)
            self._tell_all()

    def _listen(self) -> None:
        self._connection.watch(self._turn)
        self._link.subscribe([self._say.house.status()], Qos.AT_LEAST_ONCE, self._on_loop(self._started))
        scene = self._say.scene
        for line in self._lines:
            line.watch(Turns(functools.partial(self._tell_model, line)))
            topic = scene.root.device(INSTALL, scene.device, line.name)
            order = self._on_loop(functools.partial(self._ordered, line))
            self._link.subscribe([topic], INSTALL.qos, order)

    async def run(self) -> None:
        """Until cancelled."""
        self._listen()
        try:
            await self._begin()
            await self._picture_now_and_then()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def _begin(self) -> None:
        """What may stand on the broker is on disk before it does; what stood there before and is no more is
        taken away.
        """
        before = await asyncio.to_thread(self._memory.load)
        now = remembered(self._say.scene, self._say.house, self._names, before)
        stale = [topic for topic in before.topics if topic not in now.topics]
        await self._save(msgspec.structs.replace(now, topics=(*now.topics, *stale)))
        self._before = before
        self._tell_all()
        if stale:
            await clear(self._link, self._connection, stale)
            await self._save(now)

    async def _save(self, announced: Announced) -> None:
        while True:
            try:
                await asyncio.to_thread(self._memory.save, announced)
            except StoreFailed as error:
                log.warning("homeassistant.waits", extra={"error": str(error), "retry_s": SAVE_RETRY_S})
                await asyncio.sleep(SAVE_RETRY_S)
            else:
                return

    async def _picture_now_and_then(self) -> None:
        every_s = self._say.frame_every_s
        while True:
            await asyncio.sleep(every_s or float("inf"))
            for line in self._lines:
                await self._picture(line)

    async def _picture(self, line: Line) -> None:
        """None is made while nobody could be sent it."""
        if not self._connection.is_up or line.paused():
            return
        try:
            taken = await line.picture()
        except PortError as error:
            log.debug("homeassistant.no_picture", extra={"of_pipeline": line.name, "error": str(error)})
            return
        scene = self._say.scene
        topic = scene.root.device(FRAME, scene.device, line.name)
        self._link.publish(Outgoing(topic, taken.jpeg, FRAME.qos, FRAME.retain))

    def _turn(self, state: LinkState) -> None:
        if isinstance(state, Up):
            self._tell_all()

    def _started(self, message: Message) -> None:
        if message.payload != ONLINE or self._timer is not None:
            return
        delay_s = JITTER_S * self._chance()
        log.info("homeassistant.started", extra={"again_in_s": round(delay_s, 1)})
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._again)

    def _again(self) -> None:
        self._timer = None
        self._tell_all()

    def _tell_all(self) -> None:
        if self._before is None or not self._connection.is_up:
            return
        say = self._say
        told = encode(announcement(say.scene, say.portrait, self._names, self._before))
        topic = say.house.announcement(say.scene.object_id)
        self._link.publish(Outgoing(topic, told, Qos.AT_LEAST_ONCE, retain=True))
        self._models.clear()
        for line in self._lines:
            self._tell_model(line)

    def _tell_model(self, line: Line) -> None:
        """If it is another one, or was not told yet on this connection."""
        told = line.model()
        if self._before is None or told is None or told == self._models.get(line.name):
            return
        self._models[line.name] = told
        scene = self._say.scene
        topic = scene.root.device(MODEL, scene.device, line.name)
        self._link.publish(Outgoing(topic, msgspec.json.encode(told), MODEL.qos, MODEL.retain))

    def _ordered(self, line: Line, message: Message) -> None:
        """Somebody pressed Install. What a broker kept was pressed for another release, or by nobody."""
        word, _, version = message.payload[:ORDER_MAX_BYTES].decode(errors="replace").strip().partition(" ")
        fields = {"of_pipeline": line.name}
        if message.retained:
            log.warning(
                "install.ignored", extra={**fields, "why": "it was retained: publish it without that"}
            )
        elif word != PAYLOAD_INSTALL or len(message.payload) > ORDER_MAX_BYTES:
            log.warning("install.ignored", extra={**fields, "why": f"{word[:32]!r} is not {PAYLOAD_INSTALL}"})
        else:
            try:
                line.accept(version.strip())
            except Unavailable as error:
                log.warning("install.ignored", extra={**fields, "why": str(error)})

    @property
    def _names(self) -> list[str]:
        return [line.name for line in self._lines]

    @staticmethod
    def _on_loop(take: Callable[[Message], None]) -> Callable[[Message], None]:
        loop = asyncio.get_running_loop()

        def hand_over(message: Message) -> None:
            # The link's thread may outlive the loop by a moment when everything ends.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(take, message)

        return hand_over
