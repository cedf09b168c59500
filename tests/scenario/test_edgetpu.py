"""Whole devices with a simulated Edge TPU: real processes, a real broker, a real compiled model."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, pairwise
from pathlib import Path

import pytest

from agent.wire.documents import Delegate
from agent.wire.reasons import Reason
from agent.wire.reports import Prediction, Report
from agent.wire.topics import DeviceId
from deploy.adapters.broker_local import LocalBroker
from tests import models
from tests.edgetpu_sim.simulator import Simulator
from tests.rig import PHOTOGRAPHS, Agent, Ear, Fleet, Heard, fleet, listening, replay

COMPILED = models.TINY.replace(".tflite", "_edgetpu.tflite")
RATE_FPS = 20.0
LOST_S = 3.0
"""The CPU variant serves within this time."""
SLOW_S = 4.0
"""Longer than anybody may be kept waiting; a real one takes up to ten seconds."""
FRAMES = len(list(PHOTOGRAPHS.glob("*.jpg")))
NUMBERS = count()


@pytest.fixture(scope="module")
def shop(any_broker: LocalBroker, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Releases of one model: `pair`, `again` (the same), `cpu`, and `compiled` without a CPU variant."""
    cpu, compiled = models.shared(models.TINY), models.shared(COMPILED)
    made = fleet(tmp_path_factory.mktemp("shop"), any_broker.url)
    first = made.release(cpu, "pair", compiled=compiled)
    made.release_variants(first, "again", first.variants)
    for version, delegate in (("cpu", Delegate.CPU), ("compiled", Delegate.EDGETPU)):
        made.release_variants(first, version, [v for v in first.variants if v.delegate is delegate])
    return made


class Device:
    """One device of a stream of its own, that has not been started yet."""

    def __init__(self, made: Fleet, folder: Path, device: DeviceId, ear: Ear) -> None:
        self._made, self.folder, self.id, self.ear = made, folder, device, ear

    @property
    def heard(self) -> Heard:
        return self.ear.heard

    @property
    def report(self) -> Report:
        assert self.heard.report is not None
        return self.heard.report

    @contextmanager
    def running(self, edgetpus: Simulator, *, wanted: str = "edgetpu") -> Iterator[Agent]:
        """It uses the Edge TPU whatever is measured: the simulated one computes on the CPU too."""
        runtime = f'[runtime]\nedgetpu_library = "{edgetpus.library}"\ndelegate = "{wanted}"\n'
        more = f'{runtime}[update]\nstream = "{self.id}"\n'
        with Agent(self.folder, self._made, camera=replay(RATE_FPS), more=more, device=self.id) as agent:
            yield agent

    def roll_out(self, version: str) -> None:
        self._made.roll_out(version, f"--stream={self.id}")

    def commit(self, version: str) -> None:
        self.roll_out(version)
        assert self.ear.ended(version)["outcome"] == "committed", self.heard.events

    def wait(self, until: Callable[[Heard], bool], timeout_s: float = 60.0) -> None:
        self.ear.wait(until, timeout_s)

    def computes_on(self, delegate: str) -> None:
        """Wait until it does."""
        self.wait(lambda heard: bool(heard.predictions) and heard.predictions[-1].delegate == delegate)


@pytest.fixture
def device(shop: Fleet, tmp_path: Path, edgetpus: Simulator) -> Iterator[Device]:
    edgetpus.pair(models.shared(COMPILED).read_bytes(), models.shared(models.TINY).read_bytes())
    name = DeviceId(f"rig{next(NUMBERS)}")
    with listening(shop, device=name) as ear:
        yield Device(shop, tmp_path, name, ear)


def happened(name: str) -> Callable[[Heard], bool]:
    return lambda heard: any(event.name == name for event in heard.events)


def words_of(heard: Heard, name: str) -> str:
    return next(str(event.fields) for event in heard.events if event.name == name)


def outcomes(heard: Heard) -> list[object]:
    return [event.fields["outcome"] for event in heard.events if event.name == "update.ended"]


def labels(predictions: list[Prediction], on: str) -> dict[str, str]:
    """The best label of each photograph, as computed there."""
    return {p.frame: p.predictions[0].label for p in predictions if p.delegate == on}


def gap_s(predictions: list[Prediction]) -> float:
    """The longest time without a prediction, by the instants of capture."""
    return max((after.at - before.at).total_seconds() for before, after in pairwise(predictions))


@pytest.mark.parametrize(
    ("version", "state", "computes", "words"),
    [
        pytest.param("pair", {"pci": 1}, "edgetpu", "compiled for an Edge TPU, and pci:0 is open", id="PCIe"),
        pytest.param("pair", {"usb": 1, "fault": "create"}, "xnnpack", "full-integer", id="ABI: create"),
        pytest.param("pair", {"usb": 1, "fault": "prepare"}, "xnnpack", "full-integer", id="ABI: prepare"),
        pytest.param("cpu", {"usb": 1}, "xnnpack", "full-integer", id="CPU variant only"),
    ],
)
def test_a_release_is_computed_by_what_is_there_and_can_be_used(
    device: Device,
    edgetpus: Simulator,
    version: str,
    state: dict[str, int | str],
    computes: str,
    words: str,
) -> None:
    edgetpus.set(**state)
    with device.running(edgetpus):
        device.roll_out(version)
        device.wait(lambda heard: "committed" in outcomes(heard))
        device.wait(lambda heard: len(labels(heard.predictions, computes)) == FRAMES)
        found = labels(device.heard.predictions, computes)
        assert [found[f"{name}.jpg"] for name in ("castle", "espresso")] == ["castle", "espresso"]
        assert device.report.active is not None
        assert words in device.report.active.delegate_reason
        assert len(device.report.known_bad) == ("fault" in state)
        assert device.report.worker_restarts == 0


def test_a_lost_edge_tpu_is_stood_in_for_by_the_cpu_variant_and_taken_up_again_when_it_is_back(
    device: Device, edgetpus: Simulator
) -> None:
    edgetpus.plug()
    with device.running(edgetpus):
        device.commit("pair")
        device.computes_on("edgetpu")
        assert device.report.capabilities.edgetpu == ("usb:0",)
        assert device.report.capabilities.hardware == "edgetpu"
        began = len(device.heard.predictions)
        compiled = device.heard.predictions[-1].digest
        edgetpus.unplug()
        lost_at = time.monotonic()
        device.computes_on("xnnpack")
        assert time.monotonic() - lost_at < LOST_S
        device.wait(happened("edgetpu.lost"))
        assert "the variant for the CPU serves instead" in device.report.degraded
        assert device.report.active is not None
        assert device.report.active.digest == device.heard.predictions[-1].digest != compiled
        device.wait(lambda heard: len(labels(heard.predictions[began:], "xnnpack")) == FRAMES)
        edgetpus.plug()
        device.wait(happened("edgetpu.back"))
        device.wait(lambda heard: len(labels(heard.predictions, "edgetpu")) == FRAMES)
        seen = device.heard.predictions
        assert labels(seen, "edgetpu") == labels(seen, "xnnpack")
        assert gap_s(seen[began:]) < LOST_S
        assert outcomes(device.heard) == ["committed"]
        device.wait(lambda heard: heard.telemetry[-1].restarts == {"edgetpu": 1})
        assert device.report.degraded == ""


def test_a_release_that_is_only_compiled_waits_for_its_edge_tpu(device: Device, edgetpus: Simulator) -> None:
    with device.running(edgetpus):
        device.roll_out("compiled")
        device.wait(lambda heard: heard.report is not None and heard.report.reason is Reason.NEEDS_EDGETPU)
        assert device.heard.predictions == []
    edgetpus.plug()
    with device.running(edgetpus):
        assert device.ear.ended("compiled")["outcome"] == "committed"
        device.computes_on("edgetpu")
        edgetpus.unplug(loss="error")
        device.wait(happened("edgetpu.lost"))
        device.wait(lambda _: "nothing serves" in device.report.degraded)
        edgetpus.plug()
        device.wait(happened("edgetpu.back"))
        began = len(device.heard.predictions)
        device.wait(lambda heard: len(heard.predictions) > began + 5 and device.report.degraded == "")
        assert not device.report.known_bad


def test_an_edge_tpu_that_fails_its_runs_is_stood_in_for_too(device: Device, edgetpus: Simulator) -> None:
    edgetpus.plug()
    with device.running(edgetpus):
        device.commit("pair")
        began = len(device.heard.predictions)
        edgetpus.unplug(loss="error")
        device.wait(happened("edgetpu.lost"))
        edgetpus.plug()
        device.wait(happened("edgetpu.back"))
        device.computes_on("edgetpu")
        seen = device.heard.predictions[began:]
        assert {prediction.delegate for prediction in seen} == {"edgetpu", "xnnpack"}
        assert gap_s(seen) < LOST_S
        assert outcomes(device.heard) == ["committed"]


def test_an_edge_tpu_that_appears_later_and_opens_slowly_keeps_nobody_waiting(
    device: Device, edgetpus: Simulator
) -> None:
    with device.running(edgetpus):
        device.commit("pair")
        assert device.heard.predictions[-1].delegate == "xnnpack"
        assert "asks for an Edge TPU" in device.report.degraded
    edgetpus.plug(open_ms=round(SLOW_S * 1000))
    began = len(device.heard.predictions)
    with device.running(edgetpus) as agent:
        device.wait(lambda heard: outcomes(heard) == ["committed"] * 2, 120.0)
        device.computes_on("edgetpu")
        assert gap_s(device.heard.predictions[began:]) < LOST_S
        assert "link.down" not in agent.log.read_text()
        assert (device.report.worker_restarts, device.report.degraded) == (0, "")


def test_an_edge_tpu_that_is_lost_while_a_release_takes_over_takes_nothing_back(
    device: Device, edgetpus: Simulator
) -> None:
    edgetpus.plug()
    with device.running(edgetpus):
        device.commit("pair")
        began = len(device.heard.predictions)
        edgetpus.plug(open_ms=2000)
        device.roll_out("again")
        device.wait(lambda _: device.report.phase == "probation")
        edgetpus.unplug()
        device.wait(happened("edgetpu.lost"))
        device.wait(lambda heard: heard.predictions[-1].version == "again")
        assert "serves instead" in device.report.degraded
        edgetpus.plug()
        assert device.ear.ended("again")["outcome"] == "committed"
        device.computes_on("edgetpu")
        assert gap_s(device.heard.predictions[began:]) < LOST_S
        assert not device.report.known_bad


def test_an_edge_tpu_that_hangs_is_stood_in_for_within_seconds(device: Device, edgetpus: Simulator) -> None:
    edgetpus.plug()
    with device.running(edgetpus):
        device.commit("pair")
        device.computes_on("edgetpu")
        began = len(device.heard.predictions)
        edgetpus.plug(hang=1)
        device.wait(happened("edgetpu.lost"))
        edgetpus.plug()
        device.wait(happened("edgetpu.back"))
        device.computes_on("edgetpu")
        assert gap_s(device.heard.predictions[began:]) < LOST_S
        assert "hung" in words_of(device.heard, "edgetpu.lost")
        assert device.report.degraded == ""
