"""Edge TPUs: what there is, and why one that ought to be there cannot be used.

libedgetpu answers "no TPU", "no permission", "busy" and "no such device" all with the same silence, so the
causes are told apart from what the host shows.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

AS_BUILT: Final = "max"
"""Never forwarded: it stands for what the library was built for, and `libedgetpu1-std` holds a USB stick to
`high` because of its heat."""

_DEVICE: Final = re.compile(r"(usb|pci|)(?::(\d+))?")


class Bus(StrEnum):
    USB = "usb"
    PCI = "pci"


class Obstacle(StrEnum):
    """Why no Edge TPU can be used."""

    LIBRARY_MISSING = "library-missing"
    LIBUSB_MISSING = "libusb-missing"
    LIBRARY_UNUSABLE = "library-unusable"
    NOT_A_DELEGATE = "not-a-delegate"
    ABSENT = "absent"
    NO_SUCH_DEVICE = "no-such-device"
    DRIVER_MISSING = "driver-missing"
    PAGE_SIZE = "page-size"
    NOT_PERMITTED = "not-permitted"
    BUSY = "busy"
    NOT_ANSWERING = "not-answering"
    ABI_MISMATCH = "abi-mismatch"
    LIBRARY_OLD = "library-old"


@dataclass(frozen=True, slots=True)
class Tpu:
    """One that is plugged in. `number` counts those on its bus, as `usb:N` and `pci:N` do."""

    bus: Bus
    number: int
    path: str
    """As the library names it: /sys/bus/usb/devices/2-1, /dev/apex_0."""

    @property
    def name(self) -> str:
        return f"{self.bus}:{self.number}"


@dataclass(frozen=True, slots=True)
class Ready:
    """There is one that answers to what was asked for, and nothing speaks against using it.

    `held_by` names the process that has it open, where that can be seen: the worker, as a rule.
    """

    tpus: tuple[Tpu, ...]
    held_by: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Both texts are one clause without a full stop."""

    obstacle: Obstacle
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.cause}: {self.remedy}"


Finding = Ready | Trouble


class Pycoral(StrEnum):
    """Which program answers to the name `pycoral`."""

    ABSENT = "absent"
    WHOLE = "whole"
    """Coral's own."""
    FOREIGN = "foreign"
    """The one for the Allen Coral Atlas, on PyPI."""
    BROKEN = "broken"
    """Without its native part."""


def numbered(listed: Iterable[tuple[Bus, str]]) -> tuple[Tpu, ...]:
    """Devices as a library lists them, bus and path, each with its number on its bus."""
    counts = dict.fromkeys(Bus, 0)
    tpus: list[Tpu] = []
    for bus, path in listed:
        tpus.append(Tpu(bus, counts[bus], path))
        counts[bus] += 1
    return tuple(tpus)


def matching(device: str, tpus: Sequence[Tpu]) -> tuple[Tpu, ...]:
    """Those that a device string means, in the library's order.

    Source: libedgetpu, tflite/edgetpu_delegate_for_custom_op_tflite_plugin.cc: "", ":N", "usb", "usb:N",
    "pci", "pci:N"; anything else means none.
    """
    found = _DEVICE.fullmatch(device)
    if found is None:
        return ()
    on_bus = [tpu for tpu in tpus if found[1] in {"", tpu.bus.value}]
    if found[2] is None:
        return tuple(on_bus)
    number = int(found[2])
    return tuple(on_bus[number : number + 1])


def buses(device: str) -> frozenset[Bus]:
    """Where a device string looks."""
    found = _DEVICE.fullmatch(device)
    if found is None:
        return frozenset()
    return frozenset({Bus(found[1])} if found[1] else Bus)


def ways(device: str, performance: str, tpus: Sequence[Tpu]) -> list[dict[str, str]]:
    """The options to open a device with, to be tried in turn.

    libedgetpu reads `Performance` only together with a numbered device. So where one of several will do, each
    is asked for by its number.

    Args:
        device: as in `matching`.
        performance: low, medium, high or max.
        tpus: what is plugged in.
    """
    if performance == AS_BUILT:
        return [{"device": device} if device else {}]
    numbered = [device] if ":" in device else [tpu.name for tpu in matching(device, tpus)]
    return [{"device": each, "Performance": performance.capitalize()} for each in numbered]
