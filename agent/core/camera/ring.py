"""The layout of a ring of frames in memory that several processes share: one writes, the others only read.

A page of head (what the ring is, which frame is the newest, how the camera fares), then a few slots, each
with a head of its own and the pixels. Every slot has the number of its frame twice: `begun` is set before
the pixels are written and `done` after. A reader takes `done`, copies, and takes `begun`: where both are
the number that it wanted, nobody wrote meanwhile. A writer that is killed in the middle of a frame leaves
a slot that was never the newest; a reader that is killed has changed nothing.
"""

import struct
from dataclasses import dataclass
from typing import Final

from agent.wire.reports import CameraState

PAGE: Final = 4096
SLOTS: Final = 4
MAGIC: Final = b"SHOALR01"
HEAD: Final = struct.Struct("=8sQ")
"""The magic, set last; and how many bytes of pixels a slot takes."""
NEWEST: Final = struct.Struct("=Q")
NEWEST_AT: Final = 64
"""Number of the newest whole frame, from 1; 0: none yet."""
TURNS_AT: Final = 128
"""Odd while the state below is written."""
STATE_AT: Final = 136
STATE: Final = struct.Struct("=BBH32sH1024s")
"""Index of the state, whether it is a sensor; then kind and detail, each with its number of bytes."""
DETAIL_MAX_BYTES: Final = 1024
KIND_MAX_BYTES: Final = 32
SLOT_HEAD: Final = 512
FRAME: Final = struct.Struct("=QQQqqIIH256s")
"""begun, done, sequence, captured_ns, captured_at in microseconds since the epoch, height, width, name."""
NAME_MAX_BYTES: Final = 256
STATES: Final = tuple(CameraState)


@dataclass(frozen=True, slots=True)
class Told:
    """How the camera fares, as its feeder says."""

    state: CameraState
    sensor: bool
    kind: str
    detail: str


def ring_bytes(width_px: int, height_px: int) -> int:
    """The memory that a camera of this size needs."""
    return PAGE + SLOTS * _slot_bytes(width_px * height_px * 3)


def slot_at(number: int, pixel_bytes: int) -> int:
    """Where the frame of this number stands."""
    return PAGE + (number % SLOTS) * _slot_bytes(pixel_bytes)


def pixel_bytes(total_bytes: int) -> int:
    """How many bytes of pixels a slot of a ring of this size takes."""
    return (total_bytes - PAGE) // SLOTS - SLOT_HEAD


def pack_state(told: Told) -> bytes:
    kind, detail = _cut(told.kind, KIND_MAX_BYTES), _cut(told.detail, DETAIL_MAX_BYTES)
    return STATE.pack(STATES.index(told.state), told.sensor, len(kind), kind, len(detail), detail)


def unpack_state(content: bytes) -> Told:
    state, sensor, kind_bytes, kind, detail_bytes, detail = STATE.unpack(content)
    return Told(
        STATES[state],
        bool(sensor),
        kind[:kind_bytes].decode(errors="replace"),
        detail[:detail_bytes].decode(errors="replace"),
    )


def _slot_bytes(pixels: int) -> int:
    return -(-(SLOT_HEAD + pixels) // PAGE) * PAGE


def _cut(text: str, at_most: int) -> bytes:
    return text.encode()[:at_most]
