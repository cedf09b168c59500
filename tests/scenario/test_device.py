"""One whole device: real processes, a real broker, real models."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agent.wire.reasons import Reason
from agent.wire.reports import Prediction
from deploy.adapters.broker_local import LocalBroker
from tests import models
from tests.fakes.chaosproxy import ChaosProxy
from tests.rig import Agent, Ear, Fleet, fleet, listening, replay, shoal

Push = Callable[[Fleet, str], None]
Device = tuple[Fleet, Ear]

FRAMES_PER_S = 5.0
STANDSTILL_S = 2.0
"""Other work on the machine may hold a device up for less, and costs it some frames. That a switch itself
costs none is seen where a frame comes every second: `test_worker_process`."""


@pytest.fixture(scope="module")
def device(any_broker: LocalBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """A device that has committed the small MobileNet, version 1; every test pushes versions of its own."""
    folder = tmp_path_factory.mktemp("device")
    made = fleet(folder, any_broker.url)
    made.release(models.shared(models.TINY), "1")
    made.roll_out("1")
    with listening(made) as ear, Agent(folder, made, camera=replay(FRAMES_PER_S)):
        assert ear.ended("1")["outcome"] == "committed"
        yield made, ear


def _bytes(change: Callable[[bytes], bytes]) -> Push:
    def push(fleet: Fleet, version: str) -> None:
        content = models.shared(models.TINY).read_bytes()
        fleet.release_bytes(fleet.manifest("1"), version, change(content))

    return push


def _wrong_labels(fleet: Fleet, version: str) -> None:
    content = models.shared(models.TINY).read_bytes()
    fleet.release_bytes(fleet.manifest("1"), version, content, labels=b"cat\ndog\n")


def _not_finite(fleet: Fleet, version: str) -> None:
    labels = models.shared("labels/imagenet_labels.txt")
    like = fleet.release(models.shared(models.TINY_FLOAT), f"{version}-honest", f"--labels={labels}")
    fleet.release_bytes(like, version, models.with_nan_output(models.shared(models.TINY_FLOAT).read_bytes()))


def _slow(fleet: Fleet, version: str) -> None:
    fleet.release(models.shared(models.FULL), version)


@pytest.mark.parametrize(
    ("version", "push", "code"),
    [
        pytest.param("2.1", _bytes(models.truncated), Reason.LOAD_FAILED, id="truncated"),
        pytest.param("2.2", _bytes(models.with_flipped_weights), Reason.GOLDEN_MISMATCH, id="bit-flipped"),
        pytest.param("2.3", _bytes(models.that_crashes), Reason.CANARY_CRASHED, id="segfaulting"),
        pytest.param("2.4", _wrong_labels, Reason.LABELS_MISMATCH, id="wrong label count"),
        pytest.param("2.5", _not_finite, Reason.OUTPUT_NOT_FINITE, id="NaN"),
        pytest.param("2.6", _slow, Reason.TOO_SLOW, id="ten times slower"),
    ],
)
def test_a_bad_candidate_is_refused_with_its_own_code_while_the_running_model_goes_on(
    device: Device, version: str, push: Push, code: Reason
) -> None:
    made, ear = device
    begun = len(ear.heard.predictions)
    running = ear.heard.predictions[-1].version
    push(made, version)
    made.roll_out(version)
    ended = ear.ended(version)
    after = len(ear.heard.predictions)
    ear.wait(lambda heard: len(heard.predictions) >= after + 5)
    seen = ear.heard.predictions[begun:]
    assert (ended["outcome"], ended["reason"]) == ("refused", code), ended
    assert {prediction.version for prediction in seen} == {running}
    assert silent_s(seen) < STANDSTILL_S
    assert ear.heard.report is not None
    assert code in ear.heard.report.known_bad.values()


def test_a_good_candidate_takes_over_between_two_frames_and_a_revert_brings_the_old_one_back(
    device: Device,
) -> None:
    made, ear = device
    begun = len(ear.heard.predictions)
    before = ear.heard.predictions[-1].version
    made.release_bytes(made.manifest("1"), "3", models.shared(models.TINY).read_bytes() + b"\n")
    made.roll_out("3")
    assert ear.ended("3")["outcome"] == "committed"
    shoal("rollout", "revert", "--workspace", str(made.workspace.folder))
    ear.wait(lambda heard: heard.predictions[-1].version != "3")
    seen = ear.heard.predictions[begun:]
    runs = [list(run) for _, run in itertools.groupby(seen, lambda prediction: prediction.version)]
    assert [run[0].version for run in runs] == [before, "3", before]
    # Between the last two: one that was taken back says nothing more while the one before it is loaded.
    assert max(silent_s(runs[0] + runs[1]), silent_s(runs[2])) < STANDSTILL_S
    told = ear.heard.telemetry
    assert sum(window.frames_dropped for window in told) < sum(window.frames for window in told) / 10


def silent_s(seen: Sequence[Prediction]) -> float:
    """The longest time from a frame that was answered to the next one that was."""
    return max(((other.at - one.at).total_seconds() for one, other in itertools.pairwise(seen)), default=0.0)


def test_a_link_that_was_cut_comes_back_with_the_report_and_a_worker_that_was_killed_with_its_model(
    any_broker: LocalBroker, tmp_path: Path
) -> None:
    made = fleet(tmp_path, any_broker.url)
    made.release(models.shared(models.TINY), "1")
    made.roll_out("1")
    with (
        ChaosProxy(any_broker.host, any_broker.port) as line,
        listening(made) as ear,
        Agent(tmp_path, made, url=f"mqtt://{line.host}:{line.port}") as agent,
    ):
        assert ear.ended("1")["outcome"] == "committed"
        connections, reports = line.connections, ear.heard.reports
        line.drop_all()
        ear.wait(lambda heard: line.connections > connections and heard.reports > reports)
        predictions = len(ear.heard.predictions)
        ear.wait(lambda heard: len(heard.predictions) > predictions + 3)
        connections = line.connections
        os.kill(_worker_of(agent), signal.SIGSEGV)
        ear.wait(lambda heard: heard.report is not None and heard.report.worker_restarts == 1)
        predictions, killed_s = len(ear.heard.predictions), time.monotonic()
        ear.wait(lambda heard: len(heard.predictions) > predictions, timeout_s=10.0)
        assert time.monotonic() - killed_s < 5.0
        assert line.connections == connections, agent.log.read_text()


def _worker_of(agent: Agent) -> int:
    assert agent.process is not None
    tasks = Path(f"/proc/{agent.process.pid}/task").iterdir()
    children = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    (worker,) = [pid for pid in children if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return worker
