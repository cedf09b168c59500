import os
import subprocess
import sys

import pytest

from agent.adapters.edgetpu import host, pycoral
from agent.adapters.edgetpu.host import Roots
from agent.core.edgetpu.words import Bus, Pycoral, Tpu


@pytest.fixture
def roots(tmp_path):
    return Roots(sys=tmp_path / "sys", dev=tmp_path / "dev", proc=tmp_path / "proc")


def write(root, **files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


def plug_usb(roots, port, vendor, product, device):
    write(roots.sys / "bus/usb/devices" / port, idVendor=vendor, idProduct=product, busnum="2", devnum=device)
    node = roots.dev / f"bus/usb/002/{int(device):03}"
    node.parent.mkdir(parents=True, exist_ok=True)
    node.touch(mode=0o640)
    return node


@pytest.mark.parametrize(("vendor", "product"), [("1a6e", "089a"), ("18d1", "9302")])
def test_a_stick_is_found_before_and_after_its_firmware_is_loaded(roots, vendor, product):
    node = plug_usb(roots, "2-1", vendor, product, "3")
    plug_usb(roots, "1-1", "046d", "0825", "4")
    (roots.sys / "bus/usb/devices/usb2").mkdir()

    (found,) = host.read(roots=roots).nodes

    assert (found.bus, found.path) == (Bus.USB, str(node))
    assert found.writable
    assert found.owner.endswith(" 0640")
    assert not found.claimed


def test_a_stick_whose_interface_a_process_has_claimed_is_seen_as_open(roots):
    plug_usb(roots, "2-1", "18d1", "9302", "3")
    interface = roots.sys / "bus/usb/devices/2-1/2-1:1.0"
    interface.mkdir()
    driver = roots.sys / "bus/usb/drivers/usbfs"
    driver.mkdir(parents=True)
    (interface / "driver").symlink_to(driver)

    (found,) = host.read(roots=roots).nodes

    assert found.claimed


def test_a_card_is_found_with_and_without_its_driver(roots):
    write(roots.sys / "bus/pci/devices/0000:01:00.0", vendor="0x1ac1", device="0x089a")
    write(roots.sys / "bus/pci/devices/0000:00:00.0", vendor="0x14e4", device="0x2712")

    bare = host.read(roots=roots)
    assert (bare.pci_functions, bare.nodes, bare.driver) == (("0000:01:00.0",), (), False)

    (roots.sys / "module/apex").mkdir(parents=True)
    write(roots.sys / "class/apex/apex_0", is_device_owned="1")
    write(roots.dev, apex_0="")

    driven = host.read(roots=roots)
    assert driven.driver
    assert [(node.bus, node.claimed) for node in driven.nodes] == [(Bus.PCI, True)]


def test_who_has_a_device_open_is_named(tmp_path):
    device = tmp_path / "apex_0"
    device.touch()
    program = "import sys; f = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(device)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        with device.open():
            found = host.read([Tpu(Bus.PCI, 0, str(device))]).holders
        holder.stdin.close()

    assert [each.pid for each in found] == [holder.pid]
    assert "python" in found[0].command


def test_a_host_without_any_says_what_it_is(roots):
    found = host.read(roots=roots)

    assert (found.nodes, found.pci_functions, found.holders) == ((), (), ())
    assert found.page_bytes == os.sysconf("SC_PAGE_SIZE")
    assert found.kernel == os.uname().release
    assert found.user


@pytest.mark.parametrize(
    ("files", "which"),
    [
        ({}, Pycoral.ABSENT),
        ({"pycoral/__init__.py": b"", "pycoral/pycoral.py": b""}, Pycoral.FOREIGN),
        (
            {"pycoral/__init__.py": b"", "pycoral/pybind/_pywrap_coral.so": b"\n"},
            Pycoral.BROKEN,
        ),
        (
            {
                "pycoral/__init__.py": b"",
                "pycoral/utils/edgetpu.py": b"",
                "pycoral/pybind/_pywrap_coral.cpython-311-aarch64-linux-gnu.so": bytes(10_000),
            },
            Pycoral.WHOLE,
        ),
    ],
)
def test_the_three_programs_of_one_name_are_told_apart_without_running_them(
    tmp_path, monkeypatch, files, which
):
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pycoral", raising=False)

    assert pycoral.examine() is which
