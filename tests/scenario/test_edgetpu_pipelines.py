"""Several pipelines of one device, on one Edge TPU and on two: real processes, a real compiled model."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from agent.wire.topics import DeviceId
from deploy.adapters.broker_local import LocalBroker
from tests import models
from tests.edgetpu_sim.simulator import Simulator
from tests.rig import Agent, Ear, Fleet, fleet, listening, replay

COMPILED = models.TINY.replace(".tflite", "_edgetpu.tflite")
NUMBERS = count()


@pytest.fixture(scope="module")
def shop(any_broker: LocalBroker, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    made = fleet(tmp_path_factory.mktemp("shop"), any_broker.url)
    made.release(models.shared(models.TINY), "pair", compiled=models.shared(COMPILED))
    return made


class Twins:
    """A device with two pipelines, `main` and `door`, that run the same release."""

    def __init__(self, made: Fleet, folder: Path, edgetpus: Simulator) -> None:
        self._made, self._folder, self._edgetpus = made, folder, edgetpus
        self.id = DeviceId(f"twins{next(NUMBERS)}")
        self._stack = ExitStack()
        self.main, self.door = (
            self._stack.enter_context(listening(made, pipeline, self.id)) for pipeline in ("main", "door")
        )

    def close(self) -> None:
        self._stack.close()

    def start(self, runtime: str = 'delegate = "edgetpu"', door: str = "") -> Agent:
        camera = replay(10.0)
        more = (
            f'[runtime]\nedgetpu_library = "{self._edgetpus.library}"\n{runtime}\n'
            f'[update]\nstream = "{self.id}"\n'
            f'[pipeline.door]\nstream = "{self.id}"\n[pipeline.door.camera]\n{camera}{door}'
        )
        agent = Agent(self._folder, self._made, camera=camera, more=more, device=self.id)
        self._stack.enter_context(agent)
        self._made.roll_out("pair", f"--stream={self.id}")
        return agent


@pytest.fixture
def twins(shop: Fleet, tmp_path: Path, edgetpus: Simulator) -> Iterator[Twins]:
    edgetpus.pair(models.shared(COMPILED).read_bytes(), models.shared(models.TINY).read_bytes())
    made = Twins(shop, tmp_path, edgetpus)
    yield made
    made.close()


def computes_on(ear: Ear, delegate: str) -> None:
    ear.wait(lambda heard: bool(heard.predictions) and heard.predictions[-1].delegate == delegate)


def reason(ear: Ear) -> str:
    ear.wait(lambda heard: heard.report is not None and heard.report.active is not None)
    return ear.heard.report.active.delegate_reason


def test_two_pipelines_open_the_edge_tpus_that_they_are_given(twins: Twins, edgetpus: Simulator) -> None:
    edgetpus.plug(usb=2)
    own = f'[pipeline.door.runtime]\nedgetpu_library = "{edgetpus.library}"\n'
    twins.start('edgetpu_device = "usb:1"\ndelegate = "edgetpu"', f'{own}edgetpu_device = "usb:0"\n')
    for ear, device in ((twins.main, "usb:1"), (twins.door, "usb:0")):
        assert ear.ended("pair")["outcome"] == "committed"
        ear.wait(lambda heard: heard.report.active is not None)
        measured = "the CPU is faster here" in reason(ear)
        assert measured or f"{device} is open" in reason(ear)
    computes_on(twins.main, "edgetpu")


def test_two_pipelines_that_want_the_only_edge_tpu_both_serve(twins: Twins, edgetpus: Simulator) -> None:
    edgetpus.plug()
    twins.start('delegate = "auto"')
    for ear in (twins.main, twins.door):
        ear.wait(lambda heard: any(e.fields.get("outcome") == "committed" for e in heard.events), 90.0)
        began = len(ear.heard.predictions)
        ear.wait(lambda heard, began=began: len(heard.predictions) > began + 10)
    reports = [ear.heard.report for ear in (twins.main, twins.door)]
    words = [(r.active.delegate, r.active.delegate_reason, r.degraded, dict(r.known_bad)) for r in reports]
    assert [delegate for delegate, *_ in words].count("edgetpu") <= 1, words


def test_a_pipeline_that_is_told_to_leaves_the_edge_tpu_alone(twins: Twins, edgetpus: Simulator) -> None:
    edgetpus.plug()
    door = f'[pipeline.door.runtime]\nedgetpu_library = "{edgetpus.library}"\ndelegate = "edgetpu"\n'
    twins.start('delegate = "cpu"', door)
    for ear, delegate in ((twins.main, "xnnpack"), (twins.door, "edgetpu")):
        assert ear.ended("pair")["outcome"] == "committed"
        computes_on(ear, delegate)
    assert "runtime.delegate is cpu" in reason(twins.main)
    assert {p.delegate for p in twins.main.heard.predictions} == {"xnnpack"}
    assert twins.main.heard.report.degraded == ""
