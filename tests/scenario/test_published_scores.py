"""What a running device publishes of a photograph is what the desk computes of it, score for score."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from agent.adapters.runtime_tflite import open_runtime
from agent.core.inference import scores
from agent.core.serving.delegate import RuntimeChoice
from deploy.adapters import desk
from deploy.core.factory.evaluation.seen import Candidate
from deploy.flows import evaluate
from tests import models, rig

TOP = 3
SIZE = (640, 480)
"""Of a camera's frames, unless it is told otherwise."""
DIGITS = 1e-6
"""Scores are published with six; a step of eight bits is 0.004."""


def as_evaluated(path, folder):
    """By file name of the photograph: the first classes and their scores, as `shoal evaluate` finds them."""
    candidate = Candidate(place=str(path), classes=tuple(range(1001)))
    runtime = open_runtime(RuntimeChoice.AUTO)
    ready = evaluate.ready(runtime, candidate, path.name, path.read_bytes(), threads=1)
    found = {}
    for photograph in folder.iterdir():
        answer = ready.model.invoke(ready.tensor(np.asarray(desk.picture(photograph))))
        every = scores.scores(answer, ready.output, ready.model.output)
        found[photograph.name] = [(int(place), float(score)) for place, score in scores.top(every, TOP)]
    return found


def framed(folder):
    """The photographs as frames, so that neither side resizes them but for the model."""
    folder.mkdir()
    for photograph in rig.PHOTOGRAPHS.glob("*.jpg"):
        with Image.open(photograph) as opened:
            ImageOps.fit(opened.convert("RGB"), SIZE).save(folder / f"{photograph.stem}.png")
    return folder


def published(folder, url, model, labels, wanted):
    fleet = rig.fleet(folder, url)
    fleet.release(model, "1", f"--labels={labels}")
    fleet.roll_out("1")
    camera = f'kind = "replay"\nfolder = "{folder / "frames"}"\nrate_fps = 10\n'
    with rig.listening(fleet) as ear, rig.Agent(folder, fleet, camera=camera):
        return ear.wait(lambda heard: {each.frame for each in heard.predictions} >= wanted).predictions


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_a_device_publishes_the_scores_that_the_desk_computes(dtype, tmp_path, any_broker):
    model, labels = rig.SHIPPED, rig.LABELS
    if dtype == "int8":
        model, labels = models.shared(models.TINY_INT8), models.shared("labels/imagenet_labels.txt")
    wanted = as_evaluated(model, framed(tmp_path / "frames"))
    for said in published(tmp_path, any_broker.url, model, labels, set(wanted)):
        found = [(each.index, pytest.approx(each.score, abs=DIGITS)) for each in said.predictions]
        assert found[:TOP] == wanted[said.frame], said.frame
