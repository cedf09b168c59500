"""One device with several pipelines: real processes, a real broker, real models."""

from pathlib import Path

import pytest

from deploy.adapters.broker_local import LocalBroker
from tests import models
from tests.rig import LABELS, SHIPPED, Agent, Fleet, fleet, listening

DOOR = """
[pipeline.door]
stream = "door"
[pipeline.door.camera]
kind = "pattern"
rate_fps = 5.0
width_px = 320
height_px = 240
"""


@pytest.fixture
def two_models(any_broker: LocalBroker, tmp_path: Path) -> Fleet:
    made = fleet(tmp_path, any_broker.url)
    made.release(models.shared(models.TINY), "1")
    made.release(SHIPPED, "2", f"--labels={LABELS}")
    return made


def test_two_pipelines_run_their_own_models_on_their_own_cameras(two_models, tmp_path):
    with (
        listening(two_models) as main,
        listening(two_models, "door") as door,
        Agent(tmp_path, two_models, more=DOOR) as agent,
    ):
        two_models.roll_out("1")
        two_models.roll_out("2", "--stream=door")
        assert main.ended("1")["outcome"] == door.ended("2")["outcome"] == "committed"
        seen = (main.heard.predictions[-1], door.heard.predictions[-1])
        assert [prediction.version for prediction in seen] == ["1", "2"]
        assert [prediction.frame.startswith("pattern") for prediction in seen] == [False, True]
        door.wait(lambda heard: heard.report is not None and heard.report.active is not None)
        assert (door.heard.report.pipeline, door.heard.report.active.version) == ("door", "2")
        assert agent.stop() == 0


def test_a_pipeline_whose_release_is_refused_does_not_disturb_the_other(two_models, tmp_path):
    with (
        listening(two_models) as main,
        listening(two_models, "door") as door,
        Agent(tmp_path, two_models, more=DOOR) as agent,
    ):
        two_models.roll_out("1")
        two_models.roll_out("2", "--stream=door")
        assert main.ended("1")["outcome"] == door.ended("2")["outcome"] == "committed"
        broken = models.shared(models.TINY).read_bytes()[:4096]
        two_models.release_bytes(two_models.manifest("1"), "3", broken)
        two_models.roll_out("3", "--stream=door")
        assert door.ended("3")["outcome"] == "refused"
        count = len(main.heard.predictions)
        main.wait(lambda heard: len(heard.predictions) > count + 20)
        assert main.heard.report.worker_restarts == door.heard.report.worker_restarts == 0
        assert {prediction.version for prediction in main.heard.predictions} == {"1"}
        assert agent.stop() == 0
