r"""Who belongs to a wave: each device finds its own place from a hash of its id.

    position = the first 8 bytes, big endian, of sha256(salt + "\n" + device id), both in UTF-8

    printf 'salt\ndevice' | sha256sum | cut -c1-16

A device id never holds a newline, so two different pairs never give the same bytes. A device belongs
if its position is strictly below the cut. Cuts travel as 16 hexadecimal digits, because JSON numbers
lose bits above 2^53; `EVERYBODY` needs a seventeenth. One salt for all waves of a rollout nests them;
a new salt for each rollout spares the devices that went first the last time.
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Final

from agent.wire.topics import DeviceId

NOBODY: Final = "0" * 16
EVERYBODY: Final = "1" + "0" * 16
OTHERS: Final = "*"
"""Stands in a plan's cuts for the hardware classes that are not named there."""

_POSITIONS: Final = 2**64


def position(salt: str, device: DeviceId) -> int:
    """The device's place in [0, 2^64) for this salt."""
    return int.from_bytes(_hash(salt, device)[:8], "big")


def cut_of(cuts: Mapping[str, str], hardware: str) -> int:
    """The cut that counts for a hardware class; a class that nobody thought of gets none of it."""
    return int(cuts.get(hardware) or cuts.get(OTHERS) or NOBODY, base=16)


def belongs(cuts: Mapping[str, str], hardware: str, salt: str, device: DeviceId) -> bool:
    return position(salt, device) < cut_of(cuts, hardware)


def exact_cut(salt: str, devices: Collection[DeviceId], k: int) -> str:
    """The cut that takes exactly `k` of these devices: halfway between the k-th and the next position.

    A share of the hash range would be a coin toss in a small fleet: 5 % of 20 devices takes nobody in
    36 % of all cases. A device that joins later falls inside with about the chance of the others.
    """
    places = sorted({position(salt, device) for device in devices})
    if k <= 0:
        return NOBODY
    if k >= len(places):
        # Not everybody: whoever joins later was not counted into this wave.
        return _hex(places[-1] + 1) if places else NOBODY
    return _hex((places[k - 1] + places[k] + 1) // 2)


def fraction_cut(share: float) -> str:
    """The cut for a share in [0, 1] of devices that nobody can count beforehand.

    Raises:
        ValueError: the share lies outside.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share {share} is outside [0, 1]")
    return _hex(int(share * _POSITIONS))


def start_delay_s(salt: str, device: DeviceId, spread_s: float) -> float:
    """When this device begins, in [0, spread_s).

    Taken from the next 8 bytes of the same hash: the position itself is small for all who belong to an
    early wave, so it would start them all at once.
    """
    return int.from_bytes(_hash(salt, device)[8:16], "big") // 2**11 / 2**53 * spread_s


def _hash(salt: str, device: DeviceId) -> bytes:
    return hashlib.sha256(f"{salt}\n{device}".encode()).digest()


def _hex(cut: int) -> str:
    return f"{cut:016x}"
