"""What it costs to share a camera's frames, and whether a reader ever sees half of one.

    python bench/shared_camera.py [--readers N] [--size WxH] [--rate FPS] [--seconds S] [--kill]

One process lays frames of one level each, others read them through the ring, as feeder and workers do.
    given      frames a second that the feeder laid
    seen       frames a second of the slowest reader
    lay ms     CPU time of the feeder for one frame, which wakes every reader
    read ms    CPU time of a reader for one frame, the median of its frames
    age ms     from laying to having read, the median of the slowest reader
    torn       frames that were not of one level; must be 0
With --kill one process after the other is ended by SIGKILL, two a second, and started again.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from statistics import median
from time import monotonic, monotonic_ns, thread_time_ns

import numpy as np

from agent.adapters.cameras.shared.camera import SharedCamera
from agent.adapters.cameras.shared.memory import allocate, bell
from agent.adapters.cameras.shared.writer import RingWriter
from agent.adapters.clock_system import SystemClock
from agent.core.camera.frames import Frame

REPORT_S = 0.25
KILL_S = 0.5
MS = 1_000_000


@dataclass(slots=True)
class Count:
    frames: int = 0
    torn: int = 0
    cost_ms: float = 0.0
    age_ms: float = 0.0


def main() -> int:
    arguments = _parser().parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    memory, bells = allocate(width, height), [bell() for _ in range(arguments.readers)]
    feeder = _Part(lambda said: _feed(memory, bells, (height, width), arguments.rate, said))
    readers = [_Part(lambda said, rings=rings: _read(memory, rings, said)) for rings in bells]
    parts = [feeder, *readers]
    began = monotonic()
    _run(parts, began + arguments.seconds, kill=arguments.kill)
    span_s = monotonic() - began
    for part in parts:
        part.end()
    slowest = min(readers, key=lambda part: part.total.frames)
    torn = sum(part.total.torn for part in readers)
    print(f"{'given':>8}{'seen':>8}{'lay ms':>9}{'read ms':>9}{'age ms':>9}{'torn':>6}")
    print(
        f"{feeder.total.frames / span_s:>8.1f}{slowest.total.frames / span_s:>8.1f}"
        f"{feeder.total.cost_ms:>9.2f}{slowest.total.cost_ms:>9.2f}{slowest.total.age_ms:>9.2f}{torn:>6}"
    )
    return 1 if torn or not slowest.total.frames else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readers", type=int, default=3)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--rate", type=float, default=30.0, help="0: as fast as it goes")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--kill", action="store_true")
    return parser


class _Part:
    """A process that says what it has counted, and may be killed at any time."""

    def __init__(self, body: Callable[[Connection], None]) -> None:
        self._body = body
        self.total = Count()
        self._start()

    def hear(self) -> None:
        while self._hears.poll():
            try:
                said: Count = self._hears.recv()
            except (EOFError, OSError):
                return
            self.total.frames += said.frames
            self.total.torn += said.torn
            self.total.cost_ms, self.total.age_ms = said.cost_ms, said.age_ms

    def kill(self) -> None:
        self.end()
        self._start()

    def end(self) -> None:
        self.hear()
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        self._hears.close()

    def _start(self) -> None:
        self._hears, says = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("fork")
        self._process: BaseProcess = context.Process(target=self._body, args=(says,), daemon=True)
        self._process.start()
        says.close()


def _run(parts: list[_Part], until: float, *, kill: bool) -> None:
    kills, next_kill = 0, monotonic() + KILL_S
    while monotonic() < until:
        time.sleep(0.05)
        for part in parts:
            part.hear()
        if kill and monotonic() > next_kill:
            parts[kills % len(parts)].kill()
            kills, next_kill = kills + 1, monotonic() + KILL_S


def _feed(memory: int, bells: list[int], shape: tuple[int, int], rate_fps: float, said: Connection) -> None:
    writer, clock = RingWriter(memory, bells), SystemClock()
    levels = [np.full((*shape, 3), level, np.uint8) for level in range(4)]
    tally, began, number = _Tally(said), monotonic(), 0
    while True:
        if rate_fps:
            time.sleep(max(0.0, began + number / rate_fps - monotonic()))
        pixels = levels[number % len(levels)]
        frame = Frame(pixels, number, monotonic_ns(), clock.now())
        before_ns = thread_time_ns()
        writer.lay(frame)
        tally.add((thread_time_ns() - before_ns) / MS, 0.0, torn=False)
        number += 1


def _read(memory: int, rings: int, said: Connection) -> None:
    camera = SharedCamera(memory, rings, "bench", SystemClock())
    camera.open()
    tally = _Tally(said)
    while True:
        before_ns = thread_time_ns()
        frame = camera.read()
        cost_ms = (thread_time_ns() - before_ns) / MS
        age_ms = (monotonic_ns() - frame.captured_ns) / MS
        pixels = frame.pixels
        tally.add(cost_ms, age_ms, torn=bool((pixels != pixels[0, 0, 0]).any()))


class _Tally:
    def __init__(self, said: Connection) -> None:
        self._said = said
        self._begin()

    def add(self, cost_ms: float, age_ms: float, *, torn: bool) -> None:
        self._costs_ms.append(cost_ms)
        self._ages_ms.append(age_ms)
        self._torn += torn
        if monotonic() - self._at > REPORT_S:
            count = Count(len(self._costs_ms), self._torn, median(self._costs_ms), median(self._ages_ms))
            self._said.send(count)
            self._begin()

    def _begin(self) -> None:
        self._costs_ms: list[float] = []
        self._ages_ms: list[float] = []
        self._torn = 0
        self._at = monotonic()


if __name__ == "__main__":
    sys.exit(main())
