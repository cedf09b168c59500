import pytest

from agent.assemble.homeassistant import silent_s
from agent.config import Camera, Emission, Pipeline, Settings

SIDE = {"door": Pipeline(stream="door", camera=Camera(rate_fps=0.0), emission=Emission(heartbeat_s=30.0))}


@pytest.mark.parametrize(
    ("settings", "silent"),
    [
        (Settings(emission=Emission(heartbeat_s=60.0)), {"main": 60.1}),
        (Settings(emission=Emission(heartbeat_s=60.0, at_most_per_s=0.01)), {"main": 160.1}),
        (Settings(camera=Camera(rate_fps=0.1, every_nth=30)), {"main": 360.0}),
        (Settings(emission=Emission(heartbeat_s=0.0)), {}),
        (Settings(emission=Emission(heartbeat_s=0.0), pipeline=SIDE), {"door": 30.0}),
    ],
)
def test_each_pipeline_is_silent_as_long_as_its_heartbeat_and_its_slowest_frame(settings, silent):
    assert silent_s(settings) == pytest.approx(silent)
