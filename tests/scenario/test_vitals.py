"""What one whole device publishes by rules, tells of its host, and slows down: real processes and models."""

import asyncio
import sys
from pathlib import Path
from statistics import median

import pytest

from agent.wire.ipc import Pace, Serving
from agent.wire.reports import Telemetry
from deploy.adapters.broker_local import LocalBroker
from tests import models
from tests.rig import Agent, Heard, fleet, listening
from tests.scenario.test_worker_process import kept_worker, serve

EMISSION = """
[emission]
mode = "change"
hysteresis = 1.0
heartbeat_s = 2.0
smoothing_frames = 5
"""


def firmware(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `vcgencmd` first on the PATH that says what stands in the file returned here."""
    bits, programs = folder / "bits", folder / "programs"
    programs.mkdir()
    command = programs / "vcgencmd"
    command.write_text(f"#!{sys.executable} -S\nprint('throttled=' + open({str(bits)!r}).read())\n")
    command.chmod(0o755)
    bits.write_text("0x0")
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return bits


def newest(heard: Heard) -> Telemetry:
    return heard.telemetry[-1]


def test_a_device_publishes_by_its_rules_counts_every_frame_and_tells_how_its_host_fares(
    any_broker: LocalBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bits = firmware(tmp_path, monkeypatch)
    made = fleet(tmp_path, any_broker.url)
    made.release(models.shared(models.TINY), "1")
    with listening(made) as ear, Agent(tmp_path, made, more=EMISSION) as agent:
        made.roll_out("1")
        assert ear.ended("1")["outcome"] == "committed"
        begun = len(ear.heard.telemetry)
        ear.wait(lambda heard: len(heard.telemetry) >= begun + 5)
        windows = ear.heard.telemetry[begun:]
        frames, published = (sum(getattr(w, name) for w in windows) for name in ("predictions", "published"))
        assert frames >= 25
        assert 1 <= published <= 5
        vitals = newest(ear.heard).vitals
        assert vitals is not None
        assert vitals.cpu_share is not None
        assert vitals.memory_available_bytes is not None
        assert vitals.disk_free_bytes is not None
        assert vitals.broker_ms is not None
        assert 0 < vitals.broker_ms < 1000
        assert vitals.clock_synchronized
        assert not newest(ear.heard).throttled
        bits.write_text("0x50004")
        ear.wait(lambda heard: newest(heard).throttled)
        bits.write_text("0x50000")
        begun_to_suffer = [event for event in ear.heard.events if event.name.startswith("soc.")]
        assert [event.name for event in begun_to_suffer] == ["soc.throttled", "soc.under-voltage"]
        assert begun_to_suffer[0].fields["bits"] == "0x50004"
        told = newest(ear.wait(lambda heard: not newest(heard).throttled)).vitals
        assert told is not None
        assert told.now is not None
        assert told.since_boot is not None
        assert (told.now.throttled, told.since_boot.throttled, told.since_boot.under_voltage) == (
            False,
            True,
            True,
        )
        assert agent.stop() == 0


def test_a_real_worker_keeps_its_pace_with_fresh_frames_over_a_restart_and_pauses() -> None:
    async def story() -> None:
        async with kept_worker(rate_fps=50) as (keeper, watch):
            assert isinstance(await serve(keeper, models.spec(models.shared(models.TINY))), Serving)
            await watch.more(20)
            unpaced_ms = median(seen.latency_ms.capture for seen in watch.predicted[-15:])
            keeper.pace(Pace(fps_max=10.0))
            await watch.more(3)
            begun = len(watch.predicted)
            assert await watch.more(10) > 0.8
            paced_ms = median(seen.latency_ms.capture for seen in watch.predicted[begun:])
            # One that had waited for its turn would be older by most of the 100 ms.
            assert paced_ms < unpaced_ms + 50.0
            assert keeper.pid is not None
            keeper.pace(Pace(fps_max=0.0))
            await asyncio.sleep(0.5)
            begun = len(watch.predicted)
            await asyncio.sleep(1.0)
            assert len(watch.predicted) == begun
            keeper.pace(Pace())
            await watch.more(10)
            assert watch.crashes == []

    asyncio.run(story())
