"""Why an Edge TPU that was asked for is not to be had, told from what the host shows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.edgetpu.symptoms import REPLUG, SEVERAL
from agent.core.edgetpu.words import Bus, Finding, Obstacle, Ready, Tpu, Trouble, buses, matching

PAGE_BYTES: Final = 4096
"""All that the driver of the PCIe Coral can do; the kernel of a Raspberry Pi 5 has pages of 16 KiB.
Source: geerlingguy/raspberry-pi-pcie-devices, issue 44."""
GROUPS: Final = {Bus.USB: "plugdev", Bus.PCI: "apex"}
"""Whom systemd/71-shoal-coral.rules, as Coral's own rules, give the device to. Source: libedgetpu,
debian/edgetpu-accelerator.rules, for the first."""


@dataclass(frozen=True, slots=True)
class Node:
    """A device file of an Edge TPU."""

    bus: Bus
    path: str
    writable: bool
    """By this process."""
    owner: str
    """As `root:plugdev 0660`."""
    group: str
    claimed: bool = False
    """The kernel says that a process has it open."""


@dataclass(frozen=True, slots=True)
class Holder:
    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"


@dataclass(frozen=True, slots=True)
class Host:
    """What the host shows of Edge TPUs."""

    nodes: tuple[Node, ...] = ()
    pci_functions: tuple[str, ...] = ()
    """Addresses of PCIe functions 1ac1:089a, with or without a driver."""
    driver: bool = False
    """The kernel modules gasket and apex are there."""
    holders: tuple[Holder, ...] = ()
    """Processes that have a node open, as far as this user may see."""
    page_bytes: int = PAGE_BYTES
    kernel: str = ""
    user: str = ""
    groups: frozenset[str] = frozenset()


def diagnose(device: str, tpus: Sequence[Tpu], host: Host, *, opened: bool | None = None) -> Finding:
    """The first cause that explains what is seen.

    Args:
        device: as it is asked for; "" for any.
        tpus: what libedgetpu lists.
        host: what the host shows.
        opened: whether opening succeeded; None where it was not tried.
    """
    if opened:
        return Ready(tuple(tpus))
    trouble = _missing(device, tpus, host) or _forbidden(device, tpus, host)
    if trouble is not None:
        return trouble
    if opened is None:
        return Ready(tuple(tpus), held_by=SEVERAL.join(map(str, host.holders)))
    return _closed(device, tpus, host)


def _missing(device: str, tpus: Sequence[Tpu], host: Host) -> Trouble | None:
    if matching(device, tpus):
        return None
    wanted = buses(device)
    nodes = [node for node in host.nodes if node.bus in wanted]
    if nodes and not tpus:
        # The library overlooks a device that it may not read.
        return _forbidden(device, tpus, host) or _silent(nodes[0].path)
    if Bus.PCI in wanted and host.pci_functions and not any(node.bus is Bus.PCI for node in nodes):
        return _page_size(host) or _driver(host)
    if tpus:
        there = SEVERAL.join(tpu.name for tpu in tpus)
        return Trouble(
            Obstacle.NO_SUCH_DEVICE,
            f"there is no Edge TPU {device!r} here, only {there}",
            "change runtime.edgetpu_device",
        )
    return Trouble(
        Obstacle.ABSENT,
        "no Edge TPU is plugged in: no USB device 1a6e:089a or 18d1:9302, and no PCIe function 1ac1:089a",
        "plug it into a USB 3 port that gives 900 mA",
    )


def _page_size(host: Host) -> Trouble | None:
    if host.page_bytes == PAGE_BYTES:
        return None
    return Trouble(
        Obstacle.PAGE_SIZE,
        f"the kernel has pages of {host.page_bytes // 1024} KiB, and the driver of a PCIe Coral needs 4 KiB",
        "set kernel=kernel8.img in /boot/firmware/config.txt and reboot",
    )


def _driver(host: Host) -> Trouble:
    function = host.pci_functions[0]
    if host.driver:
        return Trouble(
            Obstacle.DRIVER_MISSING,
            f"the apex driver is loaded, but gives no /dev/apex_0 for the Coral at PCIe {function}",
            "look into dmesg for apex; a Raspberry Pi 5 needs dtoverlay=pcie-32bit-dma-pi5 in config.txt",
        )
    return Trouble(
        Obstacle.DRIVER_MISSING,
        f"there is a Coral at PCIe {function}, and no driver for it in kernel {host.kernel}",
        "install a gasket-dkms that is patched for this kernel (the stock one fails from 6.12 on)",
    )


def _forbidden(device: str, tpus: Sequence[Tpu], host: Host) -> Trouble | None:
    """One that may be written would do, so all must be forbidden."""
    nodes = _nodes(device, tpus, host)
    if not nodes or any(node.writable for node in nodes):
        return None
    node = nodes[0]
    group = GROUPS[node.bus]
    if node.group == group and group not in host.groups:
        remedy = f"add the user to the group (usermod -aG {group} {host.user}) and start it anew"
    else:
        remedy = f"install 71-shoal-coral.rules, which gives it to the group {group}, and plug it in again"
    return Trouble(
        Obstacle.NOT_PERMITTED, f"user {host.user} may not write {node.path} ({node.owner})", remedy
    )


def _closed(device: str, tpus: Sequence[Tpu], host: Host) -> Trouble:
    """It is there and permitted, and did not open."""
    nodes = _nodes(device, tpus, host)
    if host.holders:
        holders = SEVERAL.join(map(str, host.holders))
        return _busy(f"the Edge TPU is open in {holders}")
    if nodes and all(node.claimed for node in nodes):
        return _busy(f"{nodes[0].path} is open in a process of another user")
    if nodes and all(node.bus is Bus.PCI for node in nodes):
        trouble = _page_size(host)
        if trouble is not None:
            return trouble
    named = [node.path for node in nodes] or [tpu.path for tpu in matching(device, tpus)]
    return _silent(named[0])


def _busy(cause: str) -> Trouble:
    return Trouble(
        Obstacle.BUSY,
        cause,
        "end that process, or give this pipeline another device with runtime.edgetpu_device",
    )


def _silent(path: str) -> Trouble:
    return Trouble(Obstacle.NOT_ANSWERING, f"{path} is there and permitted, but does not open", REPLUG)


def _nodes(device: str, tpus: Sequence[Tpu], host: Host) -> list[Node]:
    """The device files of those that were asked for; of a USB stick only the bus is known for sure."""
    wanted = {tpu.path for tpu in matching(device, tpus)}
    exact = [node for node in host.nodes if node.path in wanted]
    return exact or _on(buses(device), host.nodes)


def _on(wanted: Iterable[Bus], nodes: Iterable[Node]) -> list[Node]:
    return [node for node in nodes if node.bus in wanted]
