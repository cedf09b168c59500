"""A look at simulated Edge TPUs from a process that does not load the library."""

import asyncio
import time

import pytest

from agent.adapters.edgetpu import process
from agent.assemble.edgetpu import accelerator
from agent.core.edgetpu.words import Obstacle, Ready, Trouble
from agent.wire.ipc import EdgeTpu


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


def test_what_is_wrong_with_the_library_is_told_apart(edgetpus):
    libraries = edgetpus.libraries
    edgetpus.plug()
    cases = {
        "libedgetpu-none.so.9": Obstacle.LIBRARY_MISSING,
        __file__: Obstacle.LIBRARY_UNUSABLE,
        str(libraries.bare): Obstacle.NOT_A_DELEGATE,
        str(libraries.without_libusb): Obstacle.LIBUSB_MISSING,
    }

    for library, obstacle in cases.items():
        sight = look(EdgeTpu(library=library))
        assert (sight.tpus, sight.version, sight.opened) == ((), "", None)
        assert isinstance(sight.finding, Trouble)
        assert sight.finding.obstacle is obstacle


def test_a_device_that_takes_too_long_to_open_is_given_up(edgetpus, monkeypatch):
    monkeypatch.setattr(process, "OPEN_MAX_S", 8.0)
    edgetpus.plug(open_ms=60_000)

    sight = look(edgetpus.edgetpu(), opening=True)

    assert sight.names == ("usb:0",)
    assert sight.opened is False
    assert "no answer within 8 s" in str(sight.finding)


def test_a_device_that_another_process_has_open_is_listed_and_its_holder_named(edgetpus):
    edgetpus.plug()
    with edgetpus.held("usb:0") as holder:
        listed = look(edgetpus.edgetpu()).finding
        busy = look(edgetpus.edgetpu(), opening=True)

    assert isinstance(listed, Ready)
    assert listed.held_by.startswith(f"process {holder} (")
    assert busy.opened is False
    assert isinstance(busy.finding, Trouble)
    assert busy.finding.obstacle is Obstacle.BUSY
    assert listed.held_by in busy.finding.cause


def test_pycoral_lists_the_devices_where_the_library_does_not(edgetpus, tmp_path, monkeypatch):
    """A package with the interface of Coral's own: list_edge_tpus and get_runtime_version."""
    edgetpus.plug(usb=2)
    library = EdgeTpu(library=str(edgetpus.libraries.unlisted))
    assert look(library).tpus == ()

    package = tmp_path / "pycoral" / "utils"
    package.mkdir(parents=True)
    (package / "edgetpu.py").write_text(PYCORAL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    sight = look(library)

    assert sight.names == ("usb:0", "pci:0", "usb:1")
    assert sight.version == "RuntimeVersion(14)"


PYCORAL = """
def get_runtime_version():
    return "BuildLabel(COMPILER=gcc,DATE=redacted,TIME=redacted), RuntimeVersion(14)"

def list_edge_tpus():
    return [
        {"type": "usb", "path": "/sys/bus/usb/devices/2-1"},
        {"type": "pci", "path": "/dev/apex_0"},
        {"type": "usb", "path": "/sys/bus/usb/devices/2-2"},
    ]
"""


def test_a_device_that_opens_is_ready_and_free_again(edgetpus):
    edgetpus.plug(open_ms=300)

    for _ in range(2):
        began = time.monotonic()
        sight = look(edgetpus.edgetpu(), opening=True)
        assert sight.opened
        assert sight.finding == Ready(sight.tpus)
        assert time.monotonic() - began >= 0.3
