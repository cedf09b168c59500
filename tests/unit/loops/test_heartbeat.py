import asyncio
import contextlib
import logging

import pytest
from msgspec.structs import replace

from agent.core.serving.progress import PATIENCE_S
from agent.loops.heartbeat import EXTEND_EVERY_S, EXTEND_S, LATELY_S, Heartbeat, Pulse
from agent.ports.notify import Alive, Extend, Ready, Reloading, Status, Stopping
from agent.wire.ipc import Predicted
from agent.wire.reports import CameraReport, CameraState, Phase, Report, Running, StageLatency
from agent.wire.topics import DeviceId, Digest
from tests.fakes.clock import FakeClock
from tests.fakes.notify import MemoryNotify

DIGEST = Digest("0" * 64)
IDLE = Report(device=DeviceId("pi"), at=FakeClock().now(), phase=Phase.IDLE)
SERVING = replace(IDLE, active=Running(name="cats", version="1", manifest=DIGEST, digest=DIGEST))
WATCHDOG_S = 30.0


def predicted(age_ms: float = 20.0) -> Predicted:
    return Predicted(
        manifest=DIGEST,
        sequence=1,
        frame="",
        captured_at=FakeClock().now(),
        predictions=(),
        latency_ms=StageLatency(capture=1, pre=1, invoke=1, post=1, age=age_ms),
        frames=1,
        frames_dropped=0,
    )


class Scene:
    """One pipeline, its heart and the service manager, on a clock that the test winds."""

    def __init__(self, report: Report | None) -> None:
        self.now_s = 100.0
        self.report, self.link_alive = report, True
        self.notify = MemoryNotify(WATCHDOG_S)
        self.slack_s = 0.0
        self.pulse = Pulse("main", lambda: self.report, lambda: self.slack_s, lambda: self.now_s)
        self.heart = Heartbeat(self.notify, [self.pulse], lambda: self.link_alive, lambda: self.now_s)

    def beats(self, seconds: float) -> list[object]:
        """What is said over this time, the status line apart."""
        for _ in range(round(seconds)):
            self.now_s += 1.0
            self.heart.beat()
        return [word for word in self.notify.drain() if not isinstance(word, Status)]


def test_ready_waits_for_the_first_prediction():
    scene = Scene(SERVING)
    assert Ready() not in scene.beats(5)
    scene.pulse.observe(predicted())
    assert scene.beats(1) == [Ready()]
    assert Ready() not in scene.beats(60)


def test_a_device_without_a_model_is_ready_at_once():
    assert Scene(IDLE).beats(1)[0] == Ready()


def test_nothing_is_declared_before_it_is_known_what_is_to_run():
    assert Ready() not in Scene(None).beats(20)


def test_the_start_is_extended_until_the_service_is_ready():
    scene = Scene(SERVING)
    said = scene.beats(3 * EXTEND_EVERY_S)
    assert said.count(Extend(EXTEND_S)) == 3
    scene.pulse.observe(predicted())
    assert Extend(EXTEND_S) not in scene.beats(3 * EXTEND_EVERY_S)


def test_a_start_that_stands_still_is_not_extended_for_ever():
    scene = Scene(SERVING)
    scene.beats(PATIENCE_S + 1)
    assert scene.beats(60) == []


def test_the_watchdog_is_fed_three_times_within_its_deadline():
    scene = Scene(IDLE)
    assert scene.beats(3 * WATCHDOG_S).count(Alive()) == 9


def test_a_silent_pipeline_starves_the_watchdog_until_it_predicts_again(caplog):
    scene = Scene(SERVING)
    scene.pulse.observe(predicted())
    scene.beats(PATIENCE_S + 1)
    with caplog.at_level(logging.INFO):
        assert scene.beats(60) == []
        scene.pulse.observe(predicted())
        assert Alive() in scene.beats(1)
    assert [record.message for record in caplog.records] == ["watchdog.starved", "watchdog.fed"]


def test_a_pipeline_that_is_to_see_few_frames_may_be_silent_for_longer():
    scene = Scene(SERVING)
    scene.slack_s = 3_600.0
    scene.beats(PATIENCE_S + 3_590)
    assert Alive() in scene.beats(10)
    scene.slack_s = 0.0
    assert scene.beats(60) == []


def test_what_starves_the_watchdog_is_logged_once(caplog):
    scene = Scene(IDLE)
    scene.link_alive = False
    with caplog.at_level(logging.ERROR):
        assert Alive() not in scene.beats(60)
    assert [record.message for record in caplog.records] == ["watchdog.starved"]


def test_a_crashing_worker_is_its_keepers_business():
    scene = Scene(SERVING)
    for _ in range(10):
        scene.pulse.crashed("killed by SIGSEGV")
        assert Alive() in scene.beats(30)


def test_a_camera_that_returns_gets_the_full_patience_again():
    scene = Scene(replace(SERVING, camera=CameraReport(state=CameraState.LOST)))
    scene.beats(10 * PATIENCE_S)
    scene.report = SERVING
    assert scene.beats(WATCHDOG_S).count(Alive()) == 3


def test_the_status_line_is_said_when_it_changes():
    scene = Scene(IDLE)
    for _ in range(30):
        scene.heart.beat()
    assert [word for word in scene.notify.drain() if isinstance(word, Status)] == [
        Status("no model yet, idle")
    ]


@pytest.mark.parametrize(("ages_ms", "p95"), [([20.0] * 100, "20 ms"), ([10.0] * 90 + [50.0] * 10, "50 ms")])
def test_the_status_line_shows_the_latency_of_late(ages_ms, p95):
    scene = Scene(SERVING)
    for age_ms in ages_ms:
        scene.pulse.observe(predicted(age_ms))
    scene.now_s += LATELY_S
    scene.heart.beat()
    assert Status(f"cats 1, p95 {p95}") in scene.notify.drain()


def test_a_reload_and_the_end_are_announced():
    scene = Scene(IDLE)
    scene.beats(1)
    with scene.heart.reloading():
        assert scene.notify.drain() == [Reloading(101_000_000_000)]
    scene.heart.stopping()
    assert scene.notify.drain() == [Ready(), Stopping(), Status("stopping")]


def test_a_reload_does_not_end_the_start():
    scene = Scene(SERVING)
    with scene.heart.reloading():
        pass
    assert scene.notify.drain() == []


def test_the_heart_beats_several_times_within_a_short_deadline():
    async def lives() -> None:
        heart = Heartbeat(notify, [], lambda: True, asyncio.get_running_loop().time)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await heart.run()

    notify = MemoryNotify(0.3)
    asyncio.run(lives())
    assert notify.words.count(Alive()) > 3
