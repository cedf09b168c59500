"""The example flow in a real Node-RED, beside a real device: `make test-node-red`."""

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from agent.wire.reasons import Reason
from agent.wire.topics import INSTALL, STATUS
from tests import models
from tests.brokers import PlainMosquitto
from tests.docs import blocks
from tests.docs.test_node_red import ROOT
from tests.mosquittos import free_port
from tests.rig import DEVICE, Agent, Fleet, fleet, listening, replay

RED: Final = os.environ.get("SHOAL_NODE_RED", "")
"""The program that `make test-node-red` installs."""
FLOW: Final = (blocks.ROOT / "docs/recipes/node-red-flow.json").read_text()
OF_EXAMPLE: Final = "shoal/home/device/9/pi-1/install"
WAIT_S: Final = 120.0
SETTINGS: Final = """\
module.exports = {{
    flowFile: "flows.json", uiHost: "127.0.0.1", uiPort: {}, credentialSecret: "of a test",
    telemetry: {{enabled: false}},
}};
"""
ACCEPTS: Final = '[homeassistant]\nenabled = true\n[update]\naccept = "asked"\n'
pytestmark = pytest.mark.skipif(not RED, reason="make test-node-red brings a Node-RED")


class NodeRed:
    def __init__(self, folder: Path, flow: str) -> None:
        folder.mkdir()
        self._port, self._log = free_port(), folder / "log"
        (folder / "flows.json").write_text(flow)
        (folder / "settings.js").write_text(SETTINGS.format(self._port))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(["node", RED, "--userDir", folder], stdout=log, stderr=log)

    def press(self, node: str) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/inject/{node}", b"")
        urllib.request.urlopen(request, timeout=30).close()

    @property
    def said(self) -> str:
        return self._log.read_text()

    def until(self, holds: Callable[[], object]) -> None:
        ends = time.monotonic() + WAIT_S
        while not holds():
            assert self._process.poll() is None, self.said
            assert time.monotonic() < ends, self.said
            time.sleep(0.1)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture
def made(tmp_path) -> Iterator[Fleet]:
    with PlainMosquitto(tmp_path) as broker:
        found = fleet(tmp_path, broker.url)
        found.release(models.shared(models.TINY), "1.0.0")
        found.roll_out("1.0.0")
        yield found


@pytest.fixture
def red(made, tmp_path) -> Iterator[NodeRed]:
    flow = FLOW.replace(OF_EXAMPLE, made.root.device(INSTALL, DEVICE)).replace(ROOT.prefix, made.root.prefix)
    nodes = json.loads(flow)
    next(node for node in nodes if node["type"] == "mqtt-broker")["port"] = made.url.rpartition(":")[2]
    started = NodeRed(tmp_path / "red", json.dumps(nodes))
    yield started
    started.stop()


def test_the_flow_accepts_a_release_shows_what_is_seen_and_tells_of_a_device_that_is_lost(
    made: Fleet, red: NodeRed, tmp_path: Path
):
    red.until(lambda: "Connected to broker" in red.said)
    device = Agent(tmp_path, made, camera=replay(5.0), more=ACCEPTS)
    with listening(made) as ear, device:
        ear.wait(lambda heard: heard.report is not None and heard.report.reason is Reason.UNACCEPTED)
        red.press("shoal-press")
        red.until(lambda: "[debug:seen]" in red.said)
        assert f"topic: '{DEVICE}/main'" in red.said
        assert re.search(r"score: 0\.\d+,", red.said)
        device.kill()
        red.until(lambda: f"[debug:lost] {made.root.device(STATUS, DEVICE)}" in red.said)
    assert not re.findall(r"\[(?:error|fatal)\].*", red.said)
