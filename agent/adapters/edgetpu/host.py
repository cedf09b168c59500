"""What Linux shows of Edge TPUs: sysfs, device files, who has them open.

A USB stick is 1a6e:089a until its firmware is loaded by the first opening, then 18d1:9302, with another
device file. Its interface is bound to the driver `usbfs` while a process has claimed it. A PCIe card is
1ac1:089a; its driver, gasket with apex, gives /dev/apex_N and /sys/class/apex/apex_N.
"""

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.core.edgetpu.diagnosis import Holder, Host, Node, diagnose
from agent.core.edgetpu.words import Bus, Tpu, Trouble
from agent.wire.ipc import EdgeTpu

_USB: Final = frozenset({"1a6e:089a", "18d1:9302"})
_PCI: Final = "0x1ac1:0x089a"


@dataclass(frozen=True, slots=True)
class Roots:
    """Where the kernel shows itself; other folders in tests."""

    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    proc: Path = Path("/proc")


def explain(edgetpu: EdgeTpu, tpus: Sequence[Tpu]) -> str:
    """Why a device has just not opened."""
    finding = diagnose(edgetpu.device, tpus, read(tpus), opened=False)
    assert isinstance(finding, Trouble)
    return str(finding)


def read(tpus: Sequence[Tpu] = (), roots: Roots = Roots()) -> Host:
    """Everything that a diagnosis needs; some milliseconds.

    Args:
        tpus: what libedgetpu lists; their paths are watched for holders too.
        roots: of the file systems.
    """
    nodes = (*_usb(roots), *_apex(roots))
    return Host(
        nodes=nodes,
        pci_functions=tuple(_pci(roots)),
        driver=(roots.sys / "module/apex").exists() or (roots.sys / "module/gasket").exists(),
        holders=tuple(_holders({node.path for node in nodes} | {tpu.path for tpu in tpus}, roots)),
        page_bytes=os.sysconf("SC_PAGE_SIZE"),
        kernel=os.uname().release,
        user=_user(os.geteuid()),
        groups=frozenset(map(_group, {os.getegid(), *os.getgroups()})),
    )


def _usb(roots: Roots) -> Iterator[Node]:
    for device in sorted((roots.sys / "bus/usb/devices").glob("*")):
        if f"{_text(device / 'idVendor')}:{_text(device / 'idProduct')}" not in _USB:
            continue
        bus, number = _text(device / "busnum"), _text(device / "devnum")
        if bus.isdecimal() and number.isdecimal():
            path = roots.dev / f"bus/usb/{int(bus):03}/{int(number):03}"
            drivers = (link.resolve().name for link in device.glob(f"{device.name}:*/driver"))
            yield _node(Bus.USB, path, claimed="usbfs" in drivers)


def _apex(roots: Roots) -> Iterator[Node]:
    for path in sorted(roots.dev.glob("apex_*")):
        owned = _text(roots.sys / "class/apex" / path.name / "is_device_owned")
        yield _node(Bus.PCI, path, claimed=owned == "1")


def _node(bus: Bus, path: Path, *, claimed: bool) -> Node:
    try:
        status = path.stat()
    except OSError:
        return Node(bus, str(path), writable=False, owner="it is not there", group="", claimed=claimed)
    group = _group(status.st_gid)
    mode = stat.S_IMODE(status.st_mode)
    return Node(
        bus,
        str(path),
        writable=os.access(path, os.R_OK | os.W_OK, effective_ids=True),
        owner=f"{_user(status.st_uid)}:{group} {mode:04o}",
        group=group,
        claimed=claimed,
    )


def _pci(roots: Roots) -> Iterator[str]:
    for function in sorted((roots.sys / "bus/pci/devices").glob("*")):
        if f"{_text(function / 'vendor')}:{_text(function / 'device')}" == _PCI:
            yield function.name


def _holders(paths: Iterable[str], roots: Roots) -> Iterator[Holder]:
    """Other processes; of those of another user only root sees the open files."""
    wanted = frozenset(paths)
    if not wanted:
        return
    for process in sorted(roots.proc.glob("[0-9]*")):
        if int(process.name) != os.getpid() and not wanted.isdisjoint(_open_files(process)):
            yield Holder(int(process.name), _text(process / "comm"))


def _open_files(process: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for entry in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(entry.readlink())


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
