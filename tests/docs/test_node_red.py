"""The example flow speaks of topics that there are, and is whole."""

import json

import pytest

from agent.wire.homeassistant import PAYLOAD_INSTALL
from agent.wire.topics import INSTALL, PREDICTION, STATUS, Root
from tests.docs import blocks

FLOW = json.loads((blocks.ROOT / "docs/recipes/node-red-flow.json").read_text())
ROOT = Root("shoal/home")
NODES = {node["id"]: node for node in FLOW}


def of_kind(kind):
    return [node for node in FLOW if node["type"] == kind]


def test_it_listens_where_devices_speak():
    heard = [node["topic"] for node in of_kind("mqtt in")]
    assert heard == [ROOT.everywhere(PREDICTION), ROOT.everywhere(STATUS)]


def test_it_accepts_where_a_device_listens():
    (said,) = of_kind("mqtt out")
    (pressed,) = of_kind("inject")
    address = ROOT.parse(said["topic"])
    assert (address.channel, said["qos"], said["retain"]) == (INSTALL, str(INSTALL.qos.value), "false")
    assert pressed["payload"] == PAYLOAD_INSTALL


@pytest.mark.parametrize("node", FLOW, ids=lambda node: node["id"])
def test_every_wire_ends_at_a_node(node):
    wires = [end for output in node.get("wires", ()) for end in output]
    assert all(end in NODES for end in wires)
    assert node.get("broker", "shoal-broker") in NODES or node["type"] == "mqtt-broker"
