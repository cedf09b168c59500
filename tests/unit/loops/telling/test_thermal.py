from agent.core.telemetry.thermal import Rules
from agent.core.telemetry.vitals import Gauges
from agent.loops.telling.pacer import Pacer
from agent.loops.telling.thermal import Thermostat
from agent.wire.ipc import Pace, ServeFailed
from agent.wire.reasons import Reason
from tests.fakes.children import ScriptedWorker
from tests.fakes.clock import FakeClock


class Scene:
    """A pipeline that classifies as many frames a second as it is told, up to 20."""

    def __init__(self) -> None:
        self.clock, self.predictions = FakeClock(), 0.0
        self.worker = ScriptedWorker(
            lambda model: ServeFailed(
                manifest=model.manifest, digest=model.digest, reason=Reason.LOAD_FAILED, detail=""
            )
        )
        self.pacer = Pacer(self.worker)
        self.events: list[tuple[str, dict[str, str | int | float]]] = []
        self.thermostat = Thermostat(
            Rules(),
            self.pacer,
            lambda: int(self.predictions),
            self.clock,
            lambda name, fields: self.events.append((name, fields)),
        )

    def heat(self, soc_c: float, seconds: int) -> None:
        for _ in range(seconds // 2):
            held = self.pacer.limit.fps_max
            self.predictions += 2 * (20.0 if held is None else held)
            self.clock.advance(2.0)
            self.thermostat.look(Gauges(soc_c=soc_c))


def test_heat_lowers_the_workers_pace_and_cold_restores_it_told_once_each() -> None:
    scene = Scene()
    scene.heat(60.0, 20)
    assert scene.worker.paces == []
    scene.heat(82.0, 30)
    paces = [pace.fps_max for pace in scene.worker.paces if pace.fps_max is not None]
    assert paces[0] == 15.0
    assert paces == sorted(paces, reverse=True)
    assert len(paces) == 3
    assert scene.pacer.limit.reason.startswith("the SoC had 82.0 °C")
    scene.heat(60.0, 180)
    assert scene.worker.paces[-1] == Pace()
    (lowered, lowered_fields), (restored, restored_fields) = scene.events
    assert (lowered, lowered_fields["fps_max"]) == ("pace.lowered", 15.0)
    assert restored == "pace.restored"
    assert 60 <= float(restored_fields["lasted_s"]) <= 200


def test_a_paused_pipeline_stays_paused_while_it_cools_down() -> None:
    scene = Scene()
    scene.heat(60.0, 10)
    scene.heat(82.0, 2)
    scene.pacer.pause()
    scene.heat(60.0, 120)
    assert scene.worker.paces[-1] == Pace(fps_max=0.0)
    scene.pacer.resume()
    assert scene.worker.paces[-1] == Pace()


def test_before_there_is_a_rate_nothing_is_held() -> None:
    scene = Scene()
    scene.thermostat.look(Gauges(soc_c=90.0))
    assert scene.worker.paces == []


def test_the_rate_is_that_of_the_time_in_which_frames_were_classified() -> None:
    scene = Scene()
    scene.pacer.pause()
    scene.heat(60.0, 20)
    scene.pacer.resume()
    scene.heat(60.0, 2)
    scene.heat(85.0, 2)
    assert scene.pacer.limit.fps_max == 15.0
