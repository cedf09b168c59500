"""Whole devices with a simulated Edge TPU: real processes, a real broker, a real compiled model."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.wire.documents import Manifest
from agent.wire.reasons import Reason
from agent.wire.reports import Event, Prediction
from deploy.adapters.broker_local import LocalBroker
from tests import models
from tests.edgetpu_sim.simulator import Simulator
from tests.rig import PHOTOGRAPHS as FOLDER
from tests.rig import Agent, Ear, Fleet, Heard, fleet, listening, replay

COMPILED = models.TINY.replace(".tflite", "_edgetpu.tflite")
PHOTOGRAPHS = [path for path in FOLDER.iterdir() if path.suffix in {".jpg", ".png", ".bmp"}]
LOST_S = 3.0
"""The CPU variant serves within this time."""
SLOW_S = 10.0


@contextmanager
def device(
    folder: Path,
    broker: LocalBroker,
    edgetpus: Simulator,
    *,
    more: str = 'delegate = "edgetpu"',
    **state: int | str,
) -> Iterator[tuple[Fleet, Ear, Agent]]:
    """A device that is about to start; its Edge TPU is as the state says.

    It is told to use that whatever is measured: the simulated one computes on the CPU, and a little slower.
    """
    cpu, compiled = models.shared(models.TINY), models.shared(COMPILED)
    edgetpus.pair(compiled.read_bytes(), cpu.read_bytes())
    edgetpus.set(**state)
    made = fleet(folder, broker.url)
    runtime = f'[runtime]\nedgetpu_library = "{edgetpus.library}"\n{more}\n'
    with listening(made) as ear, Agent(folder, made, camera=replay(15.0), more=runtime) as agent:
        yield made, ear, agent


def pair(made: Fleet, version: str) -> Manifest:
    """A release of both variants."""
    return made.release(models.shared(models.TINY), version, compiled=models.shared(COMPILED))


def commit(made: Fleet, ear: Ear, version: str) -> None:
    made.roll_out(version)
    assert ear.ended(version)["outcome"] == "committed", ear.heard.events


def delegate(heard: Heard) -> str:
    return "" if heard.report is None or heard.report.active is None else heard.report.active.delegate


def happened(name: str) -> Callable[[Heard], bool]:
    return lambda heard: any(event.name == name for event in heard.events)


def event(ear: Ear, name: str) -> Event:
    return next(event for event in ear.heard.events if event.name == name)


def top(predictions: list[Prediction], on: str) -> dict[str, str]:
    """The best label of each photograph, as computed there."""
    return {p.frame: p.predictions[0].label for p in predictions if p.delegate == on}


def gap_s(predictions: list[Prediction]) -> float:
    """The longest time without a prediction, by the instants of capture."""
    instants = [prediction.at for prediction in predictions]
    return max(
        (after - before).total_seconds() for before, after in zip(instants, instants[1:], strict=False)
    )


def test_a_lost_edge_tpu_is_stood_in_for_by_the_cpu_variant_and_taken_up_again_when_it_is_back(
    any_broker: LocalBroker, tmp_path: Path, edgetpus: Simulator
) -> None:
    with device(tmp_path, any_broker, edgetpus, usb=1) as (made, ear, _):
        manifest = pair(made, "1")
        commit(made, ear, "1")
        ear.wait(lambda heard: heard.predictions[-1].delegate == "edgetpu")
        assert ear.heard.report.capabilities.edgetpu == ("usb:0",)
        assert ear.heard.report.capabilities.hardware == "edgetpu"
        began = len(ear.heard.predictions)
        edgetpus.unplug()
        lost_at = time.monotonic()
        ear.wait(lambda heard: heard.predictions[-1].delegate == "xnnpack")
        assert time.monotonic() - lost_at < LOST_S
        ear.wait(happened("edgetpu.lost"))
        ear.wait(lambda heard: heard.report.degraded != "")
        assert "the variant for the CPU serves instead" in ear.heard.report.degraded
        assert ear.heard.report.active.digest == manifest.variants[0].artifact.digest
        ear.wait(lambda heard: len(heard.predictions) > began + 60)
        edgetpus.plug()
        ear.wait(happened("edgetpu.back"))
        ear.wait(lambda heard: heard.predictions[-1].delegate == "edgetpu" and heard.report.degraded == "")
        seen = ear.heard.predictions[began:]
        assert gap_s(seen) < LOST_S
        ear.wait(lambda heard: len(top(heard.predictions, "edgetpu")) == len(PHOTOGRAPHS))
        assert top(ear.heard.predictions, "edgetpu") == top(seen, "xnnpack")
        assert len([e for e in ear.heard.events if e.name == "edgetpu.lost"]) == 1
        assert [e.fields["outcome"] for e in ear.heard.events if e.name == "update.ended"] == ["committed"]
        ear.wait(lambda heard: heard.telemetry[-1].restarts == {"edgetpu": 1})
