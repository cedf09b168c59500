"""Another pipeline's camera, read from the ring that its feeder fills."""

import contextlib
import mmap
import os
import select
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from agent.adapters.cameras.shared.memory import fence
from agent.core.camera.frames import Frame
from agent.core.camera.health import ANSWER_S
from agent.core.camera.ring import (
    FRAME,
    HEAD,
    MAGIC,
    NEWEST,
    NEWEST_AT,
    SLOT_HEAD,
    STATE,
    STATE_AT,
    TURNS_AT,
    Told,
    pixel_bytes,
    slot_at,
    unpack_state,
)
from agent.ports.clock import Clock
from agent.wire.errors import CameraBusy, CameraFailed, CameraFrozen
from agent.wire.reports import CAMERA_OUT, CameraState

TRIES: Final = 8
"""To copy a frame that is not overwritten meanwhile."""
EPOCH: Final = datetime.fromtimestamp(0, UTC)


class SharedCamera:
    """The newest frame at each read; what came before the camera was opened is not shown."""

    on_demand = False

    def __init__(self, memory: int, bell: int, of: str, clock: Clock, *, read_s: float = ANSWER_S) -> None:
        """
        Args:
            memory: descriptor of the ring.
            bell: descriptor of what this reader waits for.
            of: the pipeline whose camera it is.
            clock: for how long a wait lasts.
            read_s: how long a frame may be waited for; a feeder that was killed is back much sooner.
        """
        self._read_s = read_s
        self._fd, self._bell, self._clock = memory, bell, clock
        self._memory: mmap.mmap | None = None
        self._pixel_bytes = 0
        self._last = 0
        self._told: Told | None = None
        self.sensor, self.kind, self.note = False, "shared", f"the camera of {of}"

    def open(self) -> None:
        self.close()
        self._memory = mmap.mmap(self._fd, 0, access=mmap.ACCESS_READ)
        self._pixel_bytes = pixel_bytes(len(self._memory))
        until_ns = self._clock.monotonic_ns() + self._read_s * 1e9
        while HEAD.unpack_from(self._memory, 0)[0] != MAGIC:
            if not self._wait(until_ns):
                raise CameraFailed("the process that reads the camera does not start; see the agent's log")
        fence()
        self._last = self._newest()
        self._told = self._state(self._memory)

    def read(self) -> Frame:
        until_ns = self._clock.monotonic_ns() + self._read_s * 1e9
        while True:
            frame = self._take()
            if frame is not None:
                return frame
            self._hear()
            if not self._wait(until_ns):
                raise _failure(self._told, self._read_s)

    def close(self) -> None:
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _newest(self) -> int:
        assert self._memory is not None
        (newest,) = NEWEST.unpack_from(self._memory, NEWEST_AT)
        return int(newest)

    def _take(self) -> Frame | None:
        assert self._memory is not None
        for _ in range(TRIES):
            number = self._newest()
            if number == self._last:
                return None
            fence()
            frame = self._copied(self._memory, number)
            if frame is not None:
                self._last = number
                return frame
        return None

    def _copied(self, memory: mmap.mmap, number: int) -> Frame | None:
        """The frame of this number; None where it was being replaced."""
        at = slot_at(number, self._pixel_bytes)
        _, done, sequence, captured_ns, at_us, height, width, name_bytes, name = FRAME.unpack_from(memory, at)
        length = height * width * 3
        if done != number or not 0 < length <= self._pixel_bytes:
            return None
        pixels = np.frombuffer(memory, np.uint8, length, at + SLOT_HEAD).reshape(height, width, 3).copy()
        fence()
        (begun,) = NEWEST.unpack_from(memory, at)
        if begun != number:
            return None
        captured_at = EPOCH + timedelta(microseconds=at_us)
        return Frame(pixels, sequence, captured_ns, captured_at, name[:name_bytes].decode(errors="replace"))

    def _hear(self) -> None:
        """
        Raises:
            CameraFailed: the camera has just gone.
        """
        assert self._memory is not None
        told = self._state(self._memory)
        if told is None or told == self._told:
            return
        before, self._told = self._told, told
        self.sensor = told.sensor
        if told.state in CAMERA_OUT and told.state is not CameraState.OPENING and before is not None:
            raise _failure(told, self._read_s)

    def _state(self, memory: mmap.mmap) -> Told | None:
        """What the feeder said last; None while it is saying it."""
        (before,) = NEWEST.unpack_from(memory, TURNS_AT)
        fence()
        content = memory[STATE_AT : STATE_AT + STATE.size]
        fence()
        (after,) = NEWEST.unpack_from(memory, TURNS_AT)
        if before != after or before % 2 or before == 0:
            return None
        told = unpack_state(content)
        self.sensor = told.sensor
        return told

    def _wait(self, until_ns: float) -> bool:
        """For the bell; false once the time is up."""
        left_ms = (until_ns - self._clock.monotonic_ns()) / 1e6
        if left_ms <= 0:
            return False
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        poll.poll(left_ms)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        return True


def _failure(told: Told | None, read_s: float) -> CameraFailed:
    match told:
        case Told(state=CameraState.BUSY, detail=detail):
            return CameraBusy(detail)
        case Told(state=CameraState.FROZEN, detail=detail):
            return CameraFrozen(detail)
        case Told(state=CameraState.LOST, detail=detail):
            return CameraFailed(detail)
        case _:
            return CameraFrozen(f"the shared camera gave no frame for {read_s:g} s; see the agent's log")
