"""The configuration in docs/recipes/two-cameras.md, with two network cameras."""

import contextlib
import os
import re

import pytest

from agent.core.findings.finding import Area
from tests import models
from tests.docs import blocks
from tests.fakes.rtspserver import RtspServer
from tests.rig import Agent, fleet, listening

RECIPE = blocks.ROOT / "docs/recipes/two-cameras.md"


@pytest.mark.skipif(
    "SHOAL_DOCS" not in os.environ, reason="a device with two workers is slow: make test-docs"
)
def test_a_device_with_two_network_cameras_serves_a_model_for_each(any_broker, tmp_path):
    text = next(block.text for block in blocks.blocks(RECIPE) if block.language == "toml")
    made = fleet(tmp_path, any_broker.url)
    made.release(models.shared(models.TINY), "1")
    with contextlib.ExitStack() as stack:
        cameras = [stack.enter_context(contextlib.closing(RtspServer())) for _ in range(2)]
        urls = iter(camera.url for camera in cameras)
        here = re.sub(r'"rtsp://[^"]*"', lambda _: f'"{next(urls)}"', text)
        camera, further = here.removeprefix("[camera]\n").split("\n\n", 1)
        main, door = stack.enter_context(listening(made)), stack.enter_context(listening(made, "door"))
        agent = stack.enter_context(Agent(tmp_path, made, camera=f"{camera}\n", more=further))
        made.roll_out("1")
        made.roll_out("1", "--stream=door", "--name=door-1")
        assert main.ended("1")["outcome"] == door.ended("1")["outcome"] == "committed"
        for heard in (main, door):
            heard.wait(lambda heard: len(heard.predictions) > 5)
        assert [camera.shown != [] for camera in cameras] == [True, True]
        assert agent.stop() == 0
    assert next(urls, None) is None


def test_the_area_that_the_recipe_examines_is_one():
    asked = re.findall(r"--only (\w+)", RECIPE.read_text())
    assert asked
    assert set(asked) <= set(Area)
