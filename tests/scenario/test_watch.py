"""`shoal watch` over a real broker, in a pipe and in a terminal that changes its size."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

import pytest

from agent.adapters.clock_system import SystemClock
from agent.core.update import cohort
from agent.ports.link import Outgoing
from agent.wire import codec, topics
from agent.wire.documents import Plan
from agent.wire.reports import Capabilities, Phase, Presence, Report, Status
from agent.wire.topics import REPORT, STATUS, DeviceId
from deploy.adapters.broker_local import BrokerKind
from deploy.assemble.desk import controlling
from deploy.assemble.desk.session import connected
from deploy.cli.main import main
from deploy.core.rollouts.words import Aborted, Ended, Order, Outcome, Started, Steered
from tests import rig
from tests.fakes.operator import manifest

PATIENCE_S = 30.0
CAM = DeviceId("cam")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, brokers):
    made = rig.fleet(tmp_path_factory.mktemp("watch"), brokers(BrokerKind.MOSQUITTO).url)
    release = made.repository().add_release(manifest("rig", "1"))
    decide(made, *begun("first", release, serial=1), Ended(rollout="first", outcome=Outcome.COMPLETED))
    decide(made, *begun("second", release, serial=2), Aborted(rollout="second", why="it is slow"))
    decide(made, Ended(rollout="second", outcome=Outcome.REVERTED))
    decide(made, *begun("third", release, serial=3))
    with connected(made.workspace) as session:
        for channel, document in (
            (topics.INDEX, b"{}"),
            (STATUS, codec.encode(Status(state=Presence.ONLINE, session="s"))),
            (REPORT, codec.encode(report())),
        ):
            topic = made.root.index() if channel is topics.INDEX else made.root.device(channel, CAM)
            session.link.publish(Outgoing(topic, document, channel.qos, retain=True)).result(PATIENCE_S)
    return made


def report():
    return Report(
        device=CAM, at=SystemClock().now(), phase=Phase.IDLE, capabilities=Capabilities(hardware="cpu")
    )


def begun(name, release, serial):
    order = Order(rollout=name, stream="main", release=release, files=(), waves=("1", "100%"), salt="s")
    everybody = {"*": cohort.EVERYBODY}
    plan = Plan(stream="main", serial=serial, candidate=release, cut=everybody, salt="s", rollout=name)
    return Started(order=order, by="ada"), Steered(rollout=name, plan=plan, wave=0, why="wave 1")


def decide(fleet, *entries):
    ledger = controlling.open_ledger(fleet.workspace)
    ledger.append(entries, after=len(ledger.lines()))


@pytest.mark.parametrize(
    ("rollout", "code", "said"), [("first", 0, "completed"), ("second", 3, "reverted"), ("nil", 1, "")]
)
def test_a_rollout_that_has_ended_says_how_and_ends_with_its_code(fleet, rollout, code, said, capsys):
    assert main(["watch", rollout, "--workspace", str(fleet.workspace.folder)]) == code
    assert said in capsys.readouterr().out


class Terminal:
    """`shoal watch third` in a terminal of this size."""

    def __init__(self, fleet, columns, lines):
        self.shown, self._fd = "", -1
        self._fd, inside = pty.openpty()
        self.resize(columns, lines)
        command = [sys.executable, "-P", "-m", "deploy", "watch", "third"]
        self.process = subprocess.Popen(
            [*command, "--workspace", str(fleet.workspace.folder)],
            stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color"},
        )  # fmt: skip
        os.close(inside)
        self._reads = threading.Thread(target=self._read, daemon=True)
        self._reads.start()

    def _read(self):
        try:
            while chunk := os.read(self._fd, 65_536):
                self.shown += chunk.decode(errors="replace")
        except OSError:
            pass

    def resize(self, columns, lines):
        self.shown = ""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def wait(self, words):
        ends = time.monotonic() + PATIENCE_S
        while words not in self.shown:
            assert time.monotonic() < ends, f"{words!r} is not in {self.shown[-2000:]!r}"
            time.sleep(0.02)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reads.join(5)
        os.close(self._fd)


def test_a_terminal_may_change_its_size_and_is_left_as_it_was(fleet):
    terminal = Terminal(fleet, 100, 24)
    try:
        terminal.wait("WAVE")
        terminal.resize(40, 12)
        terminal.wait("1 pending")
        assert "WAVE" not in terminal.shown.rpartition("1 pending")[0].rpartition("\x1b[H")[2]
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(PATIENCE_S) == 130
        terminal.wait("third goes on: wave 1 of 2 (1)")
        assert "\x1b[?1049l" in terminal.shown
        assert "Traceback" not in terminal.shown
    finally:
        terminal.close()
