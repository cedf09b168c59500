"""No process of a device outlives its supervisor, however that ends: it would hold camera and Edge TPU."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.adapters.broker_local import LocalBroker
from tests import models
from tests.edgetpu_sim.simulator import Simulator
from tests.processes import descendants, running
from tests.rig import Agent, fleet, listening, replay

PATIENCE_S = 30.0
"""A child that has just been started sees the end of its supervisor when it has come up."""
GUEST = """
[pipeline.guest]
stream = "main"
[pipeline.guest.camera]
kind = "shared"
of = "main"
"""
COMPILED = models.TINY.replace(".tflite", "_edgetpu.tflite")
OPENING_MS = 60_000
LOOK = """
import asyncio, sys
from agent.assemble.edgetpu import accelerator
from agent.wire.ipc import EdgeTpu
asyncio.run(accelerator().look(EdgeTpu(library=sys.argv[1]), opening=True))
"""
PROBE = """
import sys
from agent.assemble.checking.check_child import probe
from agent.core.serving.delegate import RuntimeChoice
from agent.wire.ipc import EdgeTpu
probe(sys.argv[2], RuntimeChoice.AUTO, EdgeTpu(library=sys.argv[1]))
"""


def wait(holds: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(0.01)


def gone(pids: dict[int, str]) -> None:
    wait(lambda: not any(map(running, pids)), f"the end of {pids}")


def test_a_device_killed_in_the_middle_of_a_trial_leaves_no_process(
    any_broker: LocalBroker, tmp_path: Path
) -> None:
    made = fleet(tmp_path, any_broker.url)
    made.release(models.shared(models.TINY), "1")
    with listening(made) as ear, Agent(tmp_path, made, camera=replay(30.0), more=GUEST) as agent:
        assert agent.process is not None
        supervisor = agent.process.pid
        made.roll_out("1")
        wait(lambda: "child=canary" in agent.log.read_text(), "the first word of a canary")
        family = descendants(supervisor)
        assert set(family.values()) == {"worker", "feeder", "canary"}
        # One that is stopped can do nothing to end itself.
        os.kill(next(pid for pid, what in family.items() if what == "worker"), signal.SIGSTOP)
        agent.kill()
        gone(family)
        agent.start()
        assert ear.ended("1")["outcome"] == "committed"


def test_a_device_killed_when_its_children_have_just_been_started_leaves_no_process(
    any_broker: LocalBroker, tmp_path: Path
) -> None:
    made = fleet(tmp_path, any_broker.url)
    with Agent(tmp_path, made, more=GUEST) as agent:
        assert agent.process is not None
        supervisor = agent.process.pid
        wait(lambda: bool(descendants(supervisor)), "a child")
        family = descendants(supervisor)
        agent.kill()
        gone(family)


@pytest.mark.parametrize("program", [LOOK, PROBE], ids=["a look", "a probe"])
def test_what_hangs_in_the_edge_tpus_library_dies_with_who_asked(edgetpus: Simulator, program: str) -> None:
    edgetpus.plug(open_ms=OPENING_MS)
    argv = [sys.executable, "-P", "-c", program, edgetpus.library, str(models.shared(COMPILED))]
    with subprocess.Popen(argv) as asking:
        try:
            wait(lambda: bool(edgetpus.asked()), "an attempt to open it")
            family = descendants(asking.pid)
            assert family
        finally:
            asking.kill()
    gone(family)
