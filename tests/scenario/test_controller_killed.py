import json
import subprocess
import sys

import pytest

from deploy.adapters.broker_local import BrokerKind
from tests.brokers import running
from tests.rig import REPOSITORY

POINTS = ("written", "half published")
"""Of nine; `make kill-controller` goes through all of them."""


@pytest.fixture(scope="module")
def lives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    with running(folder / "broker", BrokerKind.MOSQUITTO) as broker:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.scenario.kill_controller",
                str(folder / "fleet"),
                broker.url,
                *POINTS,
            ],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    return {line["point"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize(("number", "point"), [*enumerate(POINTS, 1)])
def test_a_controller_that_is_killed_is_gone_on_with_by_the_next(lives, number, point):
    life = lives[point]
    assert life["lives"] == [9, 0], "the one was killed, the other ended well"
    assert life["waves"] == list(range(number + 1)), "each wave was decided once"
    assert life["signed"]
    assert life["stands"]
    assert not life["left"]
