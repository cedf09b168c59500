import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from agent.core.homeassistant.announcing import Announced, Portrait
from agent.core.homeassistant.entities import Scene
from agent.loops.connection import Connection
from agent.loops.house import homeassistant
from agent.loops.house.farewell import Farewell
from agent.loops.house.homeassistant import HomeAssistant, Say
from agent.loops.house.line import Line
from agent.ports.onlooker import Onlooker
from agent.wire.errors import CameraFailed, StoreFailed, Unavailable
from agent.wire.homeassistant import ModelState
from agent.wire.ipc import Snapped
from agent.wire.topics import FRAME, INSTALL, MODEL, DeviceId, House, Root
from tests.fakes.link import MemoryBroker, MemoryLink

ROOT, DEVICE, HOUSE = Root("shoal/home"), DeviceId("pi-7"), House()
SCENE = Scene(ROOT, DEVICE, "pi-7", 10.0, pictures=True)
ANNOUNCEMENT, STATUS = HOUSE.announcement("pi-7"), HOUSE.status()
TOPIC = {channel: ROOT.device(channel, DEVICE) for channel in (MODEL, INSTALL, FRAME)}
OLD = ModelState(
    installed_version="1", latest_version="1", title="cats", release_summary="", in_progress=False,
    update_percentage=None,
)  # fmt: skip
NEWER = replace(OLD, latest_version="2")
DEADLINE_S = 10.0


class MemoryAnnounced:
    def __init__(self, before: Announced | None = None) -> None:
        self.kept = before or Announced()
        self.saved: list[Announced] = []
        self.broken = False

    def load(self) -> Announced:
        return self.kept

    def save(self, announced: Announced) -> None:
        if self.broken:
            raise StoreFailed("the card is worn out")
        self.kept = announced
        self.saved.append(announced)


@dataclass
class Device:
    """What the line of a pipeline reaches."""

    shown: ModelState | None = OLD
    accepted: list[str] = field(default_factory=list)
    onlookers: list[Onlooker] = field(default_factory=list)
    pictures: int = 0
    paused: bool = False
    blind: bool = False

    def accept(self, version: str) -> None:
        if version not in {"", "2"}:
            raise Unavailable("2 waits to be accepted")
        self.accepted.append(version)

    async def picture(self) -> Snapped:
        if self.blind:
            raise CameraFailed("the camera is gone")
        self.pictures += 1
        at = datetime(2026, 6, 1, tzinfo=UTC)
        return Snapped(jpeg=b"jpeg", height_px=1, width_px=1, sequence=self.pictures, captured_at=at)

    def line(self) -> Line:
        return Line(
            name="main",
            model=lambda: self.shown,
            accept=self.accept,
            watch=self.onlookers.append,
            picture=self.picture,
            paused=lambda: self.paused,
        )

    def turns(self, shown: ModelState) -> None:
        self.shown = shown
        for onlooker in self.onlookers:
            onlooker.told(None)


class Rig:
    def __init__(self, memory: MemoryAnnounced, every_s: float = 0.0, chance: float = 0.0) -> None:
        self.broker, self.device, self.memory = MemoryBroker(), Device(), memory
        self.link = MemoryLink(self.broker)
        self.connection = Connection(self.link)
        say = Say(HOUSE, SCENE, Portrait("Hall camera"), every_s)
        lines = [self.device.line()]
        self.home = HomeAssistant(self.link, self.connection, memory, lambda: chance, say, lines)

    def said(self, topic: str) -> list[bytes]:
        return [o.payload for o in self.broker.published if o.topic == topic]

    async def until(self, holds) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.001)

    async def settles(self) -> None:
        """What was handed to the loop has been done."""
        for _ in range(5):
            await asyncio.sleep(0)


@asynccontextmanager
async def living(memory: MemoryAnnounced | None = None, **how):
    rig = Rig(memory or MemoryAnnounced(), **how)
    rig.connection.open()
    running = asyncio.create_task(rig.home.run())
    try:
        yield rig
    finally:
        running.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()
        await rig.connection.close()


def run(work) -> None:
    asyncio.run(work())


def test_what_may_stand_on_the_broker_is_on_disk_before_it_does():
    async def life():
        memory = MemoryAnnounced()
        memory.broken = True
        async with living(memory) as rig:
            await asyncio.sleep(0.05)
            assert rig.said(ANNOUNCEMENT) == []
        async with living() as rig:
            await rig.until(lambda: rig.said(TOPIC[MODEL]))
            assert rig.memory.kept.topics == (ANNOUNCEMENT, TOPIC[MODEL])
            assert json.loads(rig.said(TOPIC[MODEL])[0])["installed_version"] == "1"

    run(life)


def test_it_is_announced_at_every_connection_and_when_home_assistant_has_started():
    async def life():
        async with living() as rig:
            await rig.until(lambda: len(rig.said(TOPIC[MODEL])) == 1)
            rig.link.drop()
            await rig.settles()
            rig.link.restore()
            await rig.until(lambda: len(rig.said(ANNOUNCEMENT)) == 2)
            rig.broker.publish(STATUS, b"offline")
            rig.broker.publish(STATUS, b"online")
            rig.broker.publish(STATUS, b"online")
            await rig.until(lambda: len(rig.said(ANNOUNCEMENT)) == 3)
            assert len(rig.said(TOPIC[MODEL])) == 3

    run(life)


def test_it_is_announced_again_when_its_rhythm_is_another_one():
    async def life():
        async with living() as rig:
            await rig.until(lambda: rig.said(ANNOUNCEMENT))
            rig.home.configure(SCENE.window_s, SCENE.silent_s)
            assert len(rig.said(ANNOUNCEMENT)) == 1
            rig.home.configure(600.0, {"main": 60.0})
            _, after = [json.loads(each)["components"] for each in rig.said(ANNOUNCEMENT)]
            assert (after["fps"]["expire_after"], after["top1"]["expire_after"]) == (1800, 180)

    run(life)


def test_a_home_that_has_started_waits_for_each_device_a_while_of_its_own(monkeypatch):
    monkeypatch.setattr(homeassistant, "JITTER_S", 0.1)

    async def life():
        async with living(chance=0.5) as rig:
            await rig.until(lambda: rig.said(ANNOUNCEMENT))
            began = asyncio.get_running_loop().time()
            rig.broker.publish(STATUS, b"online")
            await rig.until(lambda: len(rig.said(ANNOUNCEMENT)) == 2)
            assert asyncio.get_running_loop().time() - began >= 0.05

    run(life)


def test_a_model_is_told_when_it_is_another_one():
    async def life():
        async with living() as rig:
            await rig.until(lambda: rig.said(TOPIC[MODEL]))
            rig.device.turns(OLD)
            rig.device.turns(NEWER)
            assert [json.loads(each)["latest_version"] for each in rig.said(TOPIC[MODEL])] == ["1", "2"]

    run(life)


def test_nothing_is_told_of_a_model_before_it_is_known_what_runs():
    async def life():
        async with living() as rig:
            rig.device.shown = None
            await rig.until(lambda: rig.said(ANNOUNCEMENT))
            assert rig.said(TOPIC[MODEL]) == []
            rig.device.turns(OLD)
            assert len(rig.said(TOPIC[MODEL])) == 1

    run(life)


@pytest.mark.parametrize(
    ("payload", "accepted"),
    [
        (b"INSTALL", [""]),
        (b"INSTALL 2", ["2"]),
        (b" INSTALL\n", [""]),
        (b"INSTALL 1", []),
        (b"install", []),
        (b"", []),
        (b"\xff\xfe", []),
        (b"INSTALL" + b" " * 200, []),
    ],
)
def test_install_accepts_what_waits_and_nothing_else_does(payload, accepted):
    async def life():
        async with living() as rig:
            await rig.until(lambda: rig.said(ANNOUNCEMENT))
            rig.broker.publish(TOPIC[INSTALL], payload)
            await rig.settles()
            assert rig.device.accepted == accepted

    run(life)


def test_a_retained_install_is_nobodys_word():
    async def life():
        async with living() as rig:
            await rig.until(lambda: rig.said(ANNOUNCEMENT))
            rig.link.drop()
            rig.broker.publish(TOPIC[INSTALL], b"INSTALL", retain=True)
            rig.link.restore()
            await rig.until(lambda: len(rig.said(ANNOUNCEMENT)) == 2)
            await rig.settles()
            assert rig.link.received[TOPIC[INSTALL]] == 1
            assert rig.device.accepted == []

    run(life)


def test_no_picture_is_made_while_the_link_is_down_or_the_pipeline_paused():
    async def life():
        async with living(every_s=0.005) as rig:
            await rig.until(lambda: rig.said(TOPIC[FRAME]))
            rig.device.blind = True
            await asyncio.sleep(0.03)
            rig.device.blind, rig.device.paused = False, True
            made = rig.device.pictures
            await asyncio.sleep(0.03)
            assert rig.device.pictures == made
            rig.link.drop()
            await rig.settles()
            rig.device.paused = False
            await asyncio.sleep(0.03)
            assert rig.device.pictures == made
            rig.link.restore()
            await rig.until(lambda: rig.device.pictures > made)

    run(life)


def test_none_is_made_where_none_was_asked_for():
    async def life():
        async with living(every_s=0.0) as rig:
            await rig.until(lambda: rig.said(ANNOUNCEMENT))
            await asyncio.sleep(0.03)
            assert rig.device.pictures == 0

    run(life)


def test_what_was_announced_elsewhere_is_taken_away():
    before = Announced(topics=("hass/device/pi-7/config", TOPIC[MODEL]), components={"side_img": "image"})

    async def life():
        async with living(MemoryAnnounced(before)) as rig:
            await rig.until(lambda: rig.memory.kept.topics == (ANNOUNCEMENT, TOPIC[MODEL]))
            assert rig.said("hass/device/pi-7/config") == [b""]
            assert rig.memory.saved[0].topics == (ANNOUNCEMENT, TOPIC[MODEL], "hass/device/pi-7/config")
            components = json.loads(rig.said(ANNOUNCEMENT)[-1])["components"]
            assert components["side_img"] == {"platform": "image"}

    run(life)


def test_a_farewell_is_said_when_there_is_a_broker_to_hear_it_and_only_once():
    memory = MemoryAnnounced(Announced(topics=(ANNOUNCEMENT, TOPIC[MODEL])))

    async def life():
        rig = Rig(memory)
        leaving = asyncio.create_task(Farewell(rig.link, rig.connection, memory).run())
        await asyncio.sleep(0.01)
        assert not leaving.done()
        rig.connection.open()
        await asyncio.wait_for(leaving, DEADLINE_S)
        assert (rig.said(ANNOUNCEMENT), rig.said(TOPIC[MODEL])) == ([b""], [b""])
        assert memory.kept == Announced()
        await Farewell(rig.link, rig.connection, memory).run()
        assert rig.said(ANNOUNCEMENT) == [b""]
        await rig.connection.close()

    run(life)
