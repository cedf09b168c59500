"""The feeder's end of a ring."""

import contextlib
import mmap
import os
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from agent.adapters.cameras.shared.memory import fence
from agent.core.camera.frames import Frame
from agent.core.camera.ring import (
    FRAME,
    HEAD,
    MAGIC,
    NAME_MAX_BYTES,
    NEWEST,
    NEWEST_AT,
    SLOT_HEAD,
    STATE_AT,
    TURNS_AT,
    Told,
    pack_state,
    pixel_bytes,
    slot_at,
)
from agent.core.camera.stream import Numbers
from agent.wire.errors import CameraFailed


class RingWriter:
    """Goes on where the one before it was killed. Used by one thread at a time."""

    def __init__(self, memory: int, bells: Sequence[int]) -> None:
        self._memory = mmap.mmap(memory, 0)
        self._pixel_bytes = pixel_bytes(len(self._memory))
        self._bells = bells
        magic, _ = HEAD.unpack_from(self._memory, 0)
        if magic != MAGIC:
            HEAD.pack_into(self._memory, 0, bytes(len(MAGIC)), self._pixel_bytes)
            fence()
            self._memory[: len(MAGIC)] = MAGIC
        (self._newest,) = NEWEST.unpack_from(self._memory, NEWEST_AT)
        self._numbers = Numbers(self._last_sequence())

    def say(self, told: Told) -> None:
        """How the camera fares; readers are woken."""
        (turns,) = NEWEST.unpack_from(self._memory, TURNS_AT)
        odd = turns | 1
        NEWEST.pack_into(self._memory, TURNS_AT, odd)
        fence()
        packed = pack_state(told)
        self._memory[STATE_AT : STATE_AT + len(packed)] = packed
        fence()
        NEWEST.pack_into(self._memory, TURNS_AT, odd + 1)
        self._ring()

    def lay(self, frame: Frame) -> None:
        """
        Raises:
            CameraFailed: the frame is larger than was asked for.
        """
        pixels = np.ascontiguousarray(frame.pixels)
        if pixels.nbytes > self._pixel_bytes:
            height, width, _ = pixels.shape
            raise CameraFailed(
                f"the camera gives {width}x{height} px, more than asked for; "
                "set camera.width_px and camera.height_px to that"
            )
        number = self._newest + 1
        at = slot_at(number, self._pixel_bytes)
        NEWEST.pack_into(self._memory, at, number)
        fence()
        # Gone before `close`, which a view of the memory would forbid.
        np.frombuffer(self._memory, np.uint8, pixels.nbytes, at + SLOT_HEAD)[:] = pixels.reshape(-1)
        self._describe(at, number, frame)
        fence()
        NEWEST.pack_into(self._memory, at + NEWEST.size, number)
        fence()
        NEWEST.pack_into(self._memory, NEWEST_AT, number)
        self._newest = number
        self._ring()

    def close(self) -> None:
        self._memory.close()

    def _describe(self, at: int, number: int, frame: Frame) -> None:
        name = frame.name.encode()[:NAME_MAX_BYTES]
        FRAME.pack_into(
            self._memory,
            at,
            number,
            0,
            self._numbers.next(frame.sequence),
            frame.captured_ns,
            _microseconds(frame.captured_at),
            *frame.pixels.shape[:2],
            len(name),
            name,
        )

    def _last_sequence(self) -> int:
        if self._newest == 0:
            return -1
        _, _, sequence, *_ = FRAME.unpack_from(self._memory, slot_at(self._newest, self._pixel_bytes))
        return int(sequence)

    def _ring(self) -> None:
        for bell in self._bells:
            # A reader that has not come for 2^64 frames needs no more waking.
            with contextlib.suppress(BlockingIOError):
                os.eventfd_write(bell, 1)


def _microseconds(at: datetime) -> int:
    return round(at.timestamp() * 1e6)
