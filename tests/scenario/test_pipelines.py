"""One device with several pipelines: real processes, a real broker, real models."""

from pathlib import Path

from deploy.adapters.broker_local import LocalBroker
from tests import models
from tests.rig import LABELS, SHIPPED, Agent, fleet, listening

DOOR = """
[pipeline.door]
stream = "door"
[pipeline.door.camera]
kind = "pattern"
rate_fps = 15.0
width_px = 320
height_px = 240
"""


def test_two_pipelines_run_their_own_models_on_their_own_cameras_and_do_not_disturb_each_other(
    any_broker: LocalBroker, tmp_path: Path
) -> None:
    made = fleet(tmp_path, any_broker.url)
    first = made.release(models.shared(models.TINY), "1")
    made.release(SHIPPED, "2", f"--labels={LABELS}")
    with (
        listening(made) as main,
        listening(made, "door") as door,
        Agent(tmp_path, made, more=DOOR) as agent,
    ):
        made.roll_out("1")
        made.roll_out("2", "--stream=door")
        assert main.ended("1")["outcome"] == door.ended("2")["outcome"] == "committed"
        seen = (main.heard.predictions[-1], door.heard.predictions[-1])
        assert [prediction.version for prediction in seen] == ["1", "2"]
        assert [prediction.frame.startswith("pattern") for prediction in seen] == [False, True]
        door.wait(lambda heard: heard.report is not None and heard.report.active is not None)
        assert (door.heard.report.pipeline, door.heard.report.active.version) == ("door", "2")

        # What one of them refuses is no concern of the other.
        made.release_bytes(first, "3", models.shared(models.TINY).read_bytes()[:4096])
        made.roll_out("3", "--stream=door")
        assert door.ended("3")["outcome"] == "refused"
        count = len(main.heard.predictions)
        main.wait(lambda heard: len(heard.predictions) > count + 20)
        assert main.heard.report.worker_restarts == door.heard.report.worker_restarts == 0
        assert {prediction.version for prediction in main.heard.predictions} == {"1"}
        assert agent.stop() == 0
