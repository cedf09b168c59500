"""One device whose pipelines share a camera: real processes, a real broker, real models."""

from pathlib import Path

from deploy.adapters.broker_local import LocalBroker
from tests import models
from tests.rig import Agent, fleet, listening, replay

GUEST = """
[pipeline.guest]
stream = "main"
[pipeline.guest.camera]
kind = "shared"
of = "main"
every_nth = 2
"""


def test_two_pipelines_see_the_same_frames_of_one_camera(any_broker: LocalBroker, tmp_path: Path) -> None:
    made = fleet(tmp_path, any_broker.url)
    made.release(models.shared(models.TINY), "1")
    with (
        listening(made) as main,
        listening(made, "guest") as guest,
        Agent(tmp_path, made, camera=replay(30.0), more=GUEST) as agent,
    ):
        made.roll_out("1")
        assert main.ended("1")["outcome"] == guest.ended("1")["outcome"] == "committed"
        guest.wait(lambda heard: len(heard.predictions) > 10)
        frames = {prediction.sequence: prediction.frame for prediction in main.heard.predictions}
        both = [each for each in guest.heard.predictions if each.sequence in frames]
        assert len(both) > 5
        assert all(each.frame == frames[each.sequence] for each in both)
        assert main.heard.report.camera.kind == guest.heard.report.camera.kind == "shared"
        assert agent.stop() == 0
