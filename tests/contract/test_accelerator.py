"""A look at simulated Edge TPUs from a process that does not load the library."""

import asyncio
import time

import pytest

from agent.assemble.edgetpu import accelerator
from agent.core.edgetpu import Obstacle, Ready, Trouble


def look(edgetpu, *, opening=False):
    return asyncio.run(accelerator().look(edgetpu, opening=opening))


def test_every_device_is_listed_with_its_name_and_the_runtimes_version(edgetpus):
    edgetpus.plug(usb=2, pci=1)

    sight = look(edgetpus.edgetpu())

    assert sight.names == ("pci:0", "usb:0", "usb:1")
    assert sight.version == "RuntimeVersion(14)"
    assert sight.finding == Ready(sight.tpus)
    assert sight.opened is None


@pytest.mark.parametrize(
    ("state", "device", "obstacle"),
    [
        ({}, "", Obstacle.ABSENT),
        ({"pci": 1}, "usb", Obstacle.NO_SUCH_DEVICE),
        ({"usb": 1}, "usb:1", Obstacle.NO_SUCH_DEVICE),
        ({"usb": 1, "mute": 1}, "", Obstacle.NOT_ANSWERING),
        ({"usb": 1, "fault": "create"}, "", Obstacle.ABI_MISMATCH),
    ],
)
def test_what_keeps_a_device_from_being_opened_is_told_apart(edgetpus, state, device, obstacle):
    edgetpus.set(**state)

    sight = look(edgetpus.edgetpu(device), opening=True)

    assert isinstance(sight.finding, Trouble)
    assert sight.finding.obstacle is obstacle
    assert "\n" not in str(sight.finding)
    assert not sight.opened


def test_a_device_that_opens_is_ready_and_free_again(edgetpus):
    edgetpus.plug(open_ms=300)

    for _ in range(2):
        began = time.monotonic()
        sight = look(edgetpus.edgetpu(), opening=True)
        assert sight.opened
        assert sight.finding == Ready(sight.tpus)
        assert time.monotonic() - began >= 0.3
