"""What the device's page costs: each frame while nobody looks, and a viewer of a camera.

    python bench/page.py [--seconds N]

The first table is of the supervisor's own work on one frame, in CPU time, and of what the page keeps; in
the second a real worker classifies photographs, while one browser or none takes pictures as fast as they
come. There, too, the times of supervisor and worker are CPU time; a machine that does other things spoils
ages.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from urllib.request import urlopen

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_none import NoLink
from agent.core.page.words import FRAMES_KEPT, Offered, Past
from agent.core.update.lifecycle import Fitted, Idle, Record
from agent.loops.telling.onlookers import About, Onlookers
from agent.loops.telling.post import Post
from agent.loops.telling.reporter import Identity, Reporter
from agent.ports.children import Worker
from agent.ports.onlooker import Onlooker
from agent.wire import ipc, topics
from agent.wire.documents import Delegate
from agent.wire.errors import Unavailable
from agent.wire.ipc import Predicted
from agent.wire.reports import Capabilities, Ranked, Report, StageLatency
from agent.wire.topics import DeviceId, sha256

FRAMES = 20_000
ROUNDS = 5
DIGEST = sha256(b"bench")
RELEASE = Fitted(name="bench", version="1", manifest=DIGEST, variant=DIGEST, delegate=Delegate.CPU, files=())
LATENCY = StageLatency(capture=0.2, pre=1.1, invoke=5.2, post=0.1, age=6.8)
RANKED = tuple(Ranked(index=n, label=f"a label {n}", score=0.9 / (n + 1)) for n in range(5))
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Line:
    """A pipeline whose worker is left out."""

    name = "main"
    offered: Offered | None = None
    past: tuple[Past, ...] = ()
    worker: Worker

    def __init__(self) -> None:
        identity = Identity(topics.root("shoal/bench"), DeviceId("bench"), "main", Capabilities())
        self.reporter = Reporter(Post(NoLink()), SystemClock(), identity)
        self.reporter.follow(Record(state=Idle(active=RELEASE)))
        self.worker = None  # type: ignore[assignment] - no picture is asked for

    @property
    def report(self) -> Report:
        return self.reporter.report

    def watch(self, onlooker: Onlooker) -> Callable[[], None]:
        return self.reporter.watch(onlooker)

    def accept(self, version: str) -> None:
        raise Unavailable(version)

    def pause(self, *, paused: bool) -> None: ...


def _frames(count: int) -> list[Predicted]:
    """As they come from the pipe, each with labels of its own."""
    packed = ipc.encoder.encode(
        Predicted(
            manifest=DIGEST,
            sequence=1,
            frame="",
            captured_at=datetime.now(UTC),  # noqa: TID251 - any instant does
            predictions=RANKED,
            latency_ms=LATENCY,
            frames=1,
            frames_dropped=0,
        )
    )
    frames = [ipc.from_worker.decode(packed) for _ in range(count)]
    return [frame for frame in frames if isinstance(frame, Predicted)]


def _shown(line: Line) -> Onlookers:
    return Onlookers(About(DeviceId("bench"), "1", lambda: 10.0, None), (line,), SystemClock())


def _frame_us(listeners: int | None) -> float:
    """None: there is no page."""
    line, frames = Line(), _frames(FRAMES_KEPT)

    async def run() -> float:
        with contextlib.ExitStack() as listening:
            if listeners is not None:
                shown = _shown(line)
                for _ in range(listeners):
                    listening.enter_context(shown.listening())
            saw, began = line.reporter.saw, time.process_time()
            for frame in islice(cycle(frames), FRAMES):
                saw(frame, RELEASE)
            return (time.process_time() - began) / FRAMES * 1e6

    return median(asyncio.run(run()) for _ in range(ROUNDS))


def _kept_kib() -> float:
    line = Line()
    shown = _shown(line)
    tracemalloc.start()
    for frame in _frames(FRAMES_KEPT):
        line.reporter.saw(frame, RELEASE)
    kept = tracemalloc.get_traced_memory()[0] / 1024
    tracemalloc.stop()
    shown.close()
    return kept


@dataclass(frozen=True, slots=True)
class Spent:
    fps: float
    pictures_s: float
    supervisor_ms_s: float
    worker_ms_s: float
    age_p50_ms: float
    age_p95_ms: float


def _watched(rate_fps: float, seconds: float, *, viewer: bool) -> Spent:
    """A device of its own, with or without a viewer."""
    argv = [
        sys.executable,
        "-m",
        "agent",
        "demo",
        "--camera=replay",
        f"--rate={rate_fps}",
        "--listen=127.0.0.1:0",
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as device:
        assert device.stdout is not None
        url = next(line.split()[1] for line in device.stdout if line.startswith("page: "))
        next(line for line in device.stdout if line.startswith("frame"))
        try:
            return _measured(device.pid, url, seconds, viewer=viewer)
        finally:
            device.send_signal(signal.SIGINT)
            device.stdout.read()


def _measured(pid: int, url: str, seconds: float, *, viewer: bool) -> Spent:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    before, began, first = (_cpu_s(pid), _cpu_s(int(child))), time.monotonic(), _now(url)
    pictures, newest = 0, "-1"
    while time.monotonic() - began < seconds:
        if not viewer:
            time.sleep(0.1)
            continue
        with urlopen(f"{url}api/frame?after={newest}", timeout=20) as answer:  # noqa: S310 - our own page
            newest, pictures = answer.headers["X-Shoal-Sequence"], pictures + 1
            answer.read()
    took_s, last = time.monotonic() - began, _now(url)
    after = _cpu_s(pid), _cpu_s(int(child))
    ages = sorted(f["latency_ms"]["age"] for f in last if f["sequence"] > first[-1]["sequence"])
    return Spent(
        fps=len(ages) / took_s,
        pictures_s=pictures / took_s,
        supervisor_ms_s=(after[0] - before[0]) / took_s * 1e3,
        worker_ms_s=(after[1] - before[1]) / took_s * 1e3,
        age_p50_ms=ages[len(ages) // 2],
        age_p95_ms=ages[int(len(ages) * 0.95)],
    )


def _now(url: str) -> list[dict[str, dict[str, float]]]:
    with urlopen(f"{url}api/now", timeout=20) as answer:  # noqa: S310 - our own page
        frames: list[dict[str, dict[str, float]]] = json.load(answer)["pipelines"]["main"]["frames"]
        return frames


def _cpu_s(pid: int) -> float:
    """User and system. Source: proc_pid_stat(5), fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement with a worker (15)")
    seconds = parser.parse_args().seconds
    for words, listeners in (("no page", None), ("nobody looks", 0), ("one looks", 1), ("ten look", 10)):
        print(f"{words:14} {_frame_us(listeners):6.2f} us a frame")
    print(f"{FRAMES_KEPT} frames kept: {_kept_kib():.0f} KiB a pipeline\n")
    print("  camera  viewer  frames/s  pictures/s  supervisor        worker   age p50, p95")
    for rate in (10.0, 30.0):
        for viewer in (False, True):
            spent = _watched(rate, seconds, viewer=viewer)
            who = "one" if viewer else "none"
            print(
                f"{rate:>6.0f}/s {who:>7} {spent.fps:>9.1f} {spent.pictures_s:>11.1f} "
                f"{spent.supervisor_ms_s:>6.1f} ms/s {spent.worker_ms_s:>8.1f} ms/s   "
                f"{spent.age_p50_ms:.1f}, {spent.age_p95_ms:.1f} ms"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
