import signal
import subprocess
import sys
import time

import pytest

from agent.adapters.clock_system import SystemClock
from agent.wire import topics
from agent.wire.topics import Qos
from deploy.adapters.workspace import write_settings
from deploy.assemble.desk.controlling import open_ledger
from deploy.core.rollouts.words import Reasserted
from tests.brokers import Inbox, PlainMosquitto
from tests.fakes.controlled import Controlled

WITHIN_S = 60.0


@pytest.fixture
def broker(tmp_path):
    with PlainMosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
def fleet(tmp_path, broker):
    fleet = Controlled(tmp_path, clock=SystemClock(), root=topics.root("shoal/served"), url=broker.url)
    write_settings(fleet.workspace)
    fleet.puppets.appear(fleet.ids(4))
    with fleet.desk() as desk:
        desk.assert_stands()
        fleet.start(desk, "1", "100%")
    yield fleet
    fleet.puppets.link.close()


def serve(fleet):
    command = [sys.executable, "-P", "-m", "deploy", "serve", "--no-page"]
    command += ["--workspace", str(fleet.workspace.folder)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def heard(process, words):
    """The line in which it says so."""
    return next(line for line in process.stderr if words in line)


def test_a_broker_that_was_killed_and_forgot_all_is_brought_up_again(fleet, broker):
    serving = serve(fleet)
    try:
        heard(serving, "serving home from")
        broker.kill()
        broker.start()
        inbox = Inbox()
        link = fleet.link()
        link.subscribe([fleet.root.meta("timestamp")], Qos.AT_LEAST_ONCE, inbox)
        newest = fleet.repository().publication().timestamp
        inbox.wait_until(lambda came: came[-1].payload == newest, WITHIN_S)
        link.close()
        ends = time.monotonic() + WITHIN_S
        while len(reasserted(fleet)) < 2:
            assert time.monotonic() < ends
            time.sleep(0.05)
        assert [entry.found for entry in reasserted(fleet)] == [0, 0]
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(WITHIN_S) == 0
    finally:
        serving.kill()
        serving.wait()
        serving.stderr.close()


def reasserted(fleet):
    return [each.entry for each in open_ledger(fleet.workspace).lines() if isinstance(each.entry, Reasserted)]
