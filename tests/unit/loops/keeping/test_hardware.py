import asyncio

import pytest

from agent.adapters.machine import cpu
from agent.core.edgetpu.words import Obstacle, Trouble
from agent.loops.keeping import hardware
from agent.loops.keeping.hardware import HardwareWatch
from agent.ports.accelerator import Sight
from agent.wire.ipc import EdgeTpu
from tests.fakes.accelerator import ScriptedAccelerator

NONE = Sight((), Trouble(Obstacle.ABSENT, "none", "plug one in"))


def test_edge_tpus_that_come_and_go_are_told_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "LOOK_S", 0.001)
    told: list[Sight] = []
    changed = asyncio.Event()

    def note(sight: Sight) -> None:
        told.append(sight)
        changed.set()

    async def story() -> None:
        tpus = ScriptedAccelerator(there=False)
        watch = HardwareWatch(tpus, EdgeTpu(), NONE, note)
        task = asyncio.create_task(watch.run())
        for there in (True, False):
            tpus.there = there
            changed.clear()
            async with asyncio.timeout(5):
                await changed.wait()
        tpus.there = True
        watch.forget()
        await watch.look()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(story())
    assert [sight.names for sight in told] == [("usb:0",), (), ("usb:0",)]


def test_one_that_was_lost_is_news_even_if_it_is_there_again() -> None:
    told: list[Sight] = []

    async def story() -> None:
        tpus = ScriptedAccelerator()
        watch = HardwareWatch(tpus, EdgeTpu(), await tpus.look(EdgeTpu()), told.append)
        await watch.look()
        assert told == []
        watch.forget()
        await watch.look()

    asyncio.run(story())
    assert [sight.names for sight in told] == [("usb:0",)]


@pytest.mark.parametrize(
    ("obstacle", "pause_s"),
    [(Obstacle.ABSENT, hardware.LOOK_S), (Obstacle.LIBRARY_MISSING, hardware.RARELY_S)],
)
def test_a_missing_library_is_looked_for_rarely(obstacle: Obstacle, pause_s: float) -> None:
    async def story() -> None:
        seen = Sight((), Trouble(obstacle, "", ""))
        watch = HardwareWatch(ScriptedAccelerator(), EdgeTpu(), seen, lambda _: None)
        assert watch._pause_s() == pause_s

    asyncio.run(story())


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        (
            "processor\t: 0\nCPU part\t: 0xd08\n\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
            "Raspberry Pi 4",
        ),
        ("processor : 0\nmodel name : AMD EPYC\n", "AMD EPYC"),
        ("CPU part : 0xd0b\n", "0xd0b"),
        ("", "unknown"),
    ],
)
def test_a_host_is_described_by_what_computes_in_it(tmp_path, cpuinfo, name):
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert name in cpu.describe(tmp_path / "cpuinfo")
    assert cpu.describe(tmp_path / "none").endswith(f"unknown x{cpu.cores()}")
