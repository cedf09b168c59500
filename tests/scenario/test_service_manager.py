"""A real agent under the eyes of a service manager: what it is told, and how the agent ends."""

import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.adapters.broker_local import LocalBroker
from tests.fakes.chaosproxy import ChaosProxy
from tests.fakes.notify import NotifySocket
from tests.rig import LABELS, SHIPPED, Agent, Fleet, Heard, fleet, listening, shoal

WATCHDOG_S = 3.0
STOP_S = 5.0
START_S = 30.0


@pytest.fixture(scope="module")
def made(any_broker: LocalBroker, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """A fleet whose device is to run the model that the project ships."""
    made = fleet(tmp_path_factory.mktemp("fleet"), any_broker.url)
    made.release(SHIPPED, "1", f"--labels={LABELS}")
    made.roll_out("1")
    return made


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NotifySocket]:
    with NotifySocket(tmp_path) as manager:
        for name, value in manager.environment(WATCHDOG_S).items():
            monkeypatch.setenv(name, value)
        yield manager


def children(agent: Agent, subcommand: str) -> list[int]:
    assert agent.process is not None
    tasks = Path(f"/proc/{agent.process.pid}/task").iterdir()
    pids = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    return [pid for pid in pids if f"\0{subcommand}\0" in Path(f"/proc/{pid}/cmdline").read_text()]


def beats_after(manager: NotifySocket, since_s: float) -> list[float]:
    return [at_s for at_s, _ in manager.lines("WATCHDOG=1") if at_s > since_s]


def is_online(made: Fleet) -> bool:
    listed = shoal("devices", "--json", "--workspace", str(made.workspace.folder)).stdout
    (row,) = json.loads(listed)["devices"]
    return bool(row["online"])


def _downloads(heard: Heard) -> bool:
    """A report of this very life says so; the first one may be the retained one of the life before."""
    report = heard.report
    return heard.reports > 1 and report is not None and report.candidate is not None


def test_the_service_manager_sees_progress_and_only_progress(
    made: Fleet, manager: NotifySocket, tmp_path: Path
) -> None:
    agent = Agent(tmp_path, made)
    with listening(made) as ear, agent:
        manager.wait(lambda line: line == "READY=1", START_S)
        assert ear.ended("1")["outcome"] == "committed"
        manager.wait(lambda line: line.startswith("STATUS=rig 1 on xnnpack, p95"), START_S)

        # A worker that hangs is its keeper's business: the watchdog goes on being fed meanwhile.
        (hung,) = children(agent, "worker")
        hung_s, restarts = time.monotonic(), len(ear.heard.events)
        os.kill(hung, signal.SIGSTOP)
        ear.wait(lambda heard: any(e.name == "worker.crashed" for e in heard.events[restarts:]), 20.0)
        beats = [hung_s, *beats_after(manager, hung_s), time.monotonic()]
        assert max(later - earlier for earlier, later in itertools.pairwise(beats)) < WATCHDOG_S
        assert children(agent, "worker") != [hung]

        # A supervisor that is blocked starves it.
        assert agent.process is not None
        agent.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, agent.process.pid, os.WSTOPPED | os.WNOWAIT)
        blocked_s = time.monotonic()
        with pytest.raises(AssertionError, match="not told within"):
            manager.wait(lambda _: False, 1.5 * WATCHDOG_S)
        assert beats_after(manager, blocked_s + 0.5) == []
        agent.process.send_signal(signal.SIGCONT)
        manager.wait(lambda line: line == "WATCHDOG=1", WATCHDOG_S)

        assert agent.stop(STOP_S) == 0
        manager.wait(lambda line: line == "STOPPING=1", WATCHDOG_S)
    assert not is_online(made)

    # With a model on disk, the second life is ready when it has predicted.
    started_s = time.monotonic()
    with agent:
        manager.wait(lambda line: line == "READY=1", START_S)
        (ready_s,) = (at_s for at_s, line in manager.heard if line == "READY=1" and at_s > started_s)
        told = [line for at_s, line in manager.heard if started_s < at_s <= ready_s]
        assert "EXTEND_TIMEOUT_USEC=60000000" in told
        assert not [line for line in told if "no model yet" in line]

        # It ends in time with a worker that hangs, too.
        (hung,) = children(agent, "worker")
        os.kill(hung, signal.SIGSTOP)
        assert agent.stop(STOP_S) == 0
        assert not Path(f"/proc/{hung}").exists()
    assert not is_online(made)


def test_it_ends_in_time_in_the_middle_of_a_download(
    made: Fleet, any_broker: LocalBroker, tmp_path: Path
) -> None:
    with ChaosProxy(any_broker.host, any_broker.port) as line:
        line.rate_bytes_s = 200_000
        with (
            listening(made) as ear,
            Agent(tmp_path, made, url=f"mqtt://{line.host}:{line.port}") as agent,
        ):
            ear.wait(_downloads)
            assert agent.stop(STOP_S) == 0
            assert not is_online(made)


def test_it_ends_in_time_while_the_broker_says_nothing(
    made: Fleet, any_broker: LocalBroker, tmp_path: Path
) -> None:
    with (
        ChaosProxy(any_broker.host, any_broker.port) as line,
        listening(made) as ear,
        Agent(tmp_path, made, url=f"mqtt://{line.host}:{line.port}") as agent,
    ):
        ear.wait(_downloads)
        line.partition = True
        assert agent.stop(STOP_S) == 0
