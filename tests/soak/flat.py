"""Memory, handles and threads over hours of frames in minutes: `make flat MINUTES=10`.

One device classifies synthetic frames as fast as its model can, publishes each prediction and one telemetry
window a second, and is looked at all the while. What it holds at the end must be what it held once it had
warmed up. At ten frames a second, the demo's rate, ten hours are 360,000 frames.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from agent.wire.reports import Telemetry
from deploy.adapters.broker_local import start_broker
from tests import models
from tests.rig import Agent, fleet, listening

CAMERA = 'kind = "pattern"\nrate_fps = 0\nwidth_px = 160\nheight_px = 120\n'
LOOK_S = 2.0
WARM_SHARE = 0.2
GROWTH_MAX = 0.05
"""Of memory, from the medians of the first fifth after the warm-up to those of the last fifth."""
DEMO_FPS = 10.0
COMMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Look:
    rss_bytes: int
    handles: int
    threads: int


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shoal-flat-") as name:
        folder = Path(name)
        with start_broker(folder / "broker") as broker:
            made = fleet(folder, broker.url)
            made.release(models.shared(models.TINY), "1")
            made.roll_out("1")
            with listening(made) as ear, Agent(folder, made, camera=CAMERA) as agent:
                assert ear.ended("1", COMMIT_S)["outcome"] == "committed"
                assert agent.process is not None
                ear.heard.predictions.clear()
                looks = watch(agent.process.pid, options.minutes * 60)
                frames = _frames(ear.heard.telemetry)
                status = agent.stop()
    return _judge(looks, frames, options.minutes, status)


def watch(supervisor: int, for_s: float) -> dict[str, list[Look]]:
    """Look at the supervisor and its worker until the time is up, or one of them is gone."""
    looks: dict[str, list[Look]] = {"supervisor": [], "worker": []}
    worker = child_of(supervisor).pid
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        looks["supervisor"].append(_look(supervisor))
        looks["worker"].append(_look(worker))
        time.sleep(LOOK_S)
    return looks


@dataclass(frozen=True, slots=True)
class Child:
    pid: int

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def child_of(parent: int) -> Child:
    """The only child that a device has between two trials: the worker."""
    (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return Child(int(child))


def _look(pid: int) -> Look:
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return Look(
        rss_bytes=int(status["VmRSS"].split()[0]) * 1024,
        handles=len(list((process / "fd").iterdir())),
        threads=int(status["Threads"]),
    )


def _frames(windows: list[Telemetry]) -> int:
    return sum(window.predictions for window in windows)


def _judge(looks: dict[str, list[Look]], frames: int, minutes: float, status: int) -> int:
    print(f"{frames} frames in {minutes:g} minutes: {frames / DEMO_FPS / 3600:.1f} hours of the demo's loop")
    print(f"{'':12} {'memory, MiB':>20} {'handles':>12} {'threads':>12}")
    flat = status == 0
    for name, seen in looks.items():
        warm = seen[int(len(seen) * WARM_SHARE) :]
        fifth = max(1, len(warm) // 5)
        first, last = _middle(warm[:fifth]), _middle(warm[-fifth:])
        print(
            f"{name:12} {first.rss_bytes / 2**20:9.1f} -> {last.rss_bytes / 2**20:7.1f} "
            f"{first.handles:5} -> {last.handles:3} {first.threads:5} -> {last.threads:3}"
        )
        flat &= last.rss_bytes <= first.rss_bytes * (1 + GROWTH_MAX)
        flat &= last.handles <= first.handles and last.threads <= first.threads
    print("flat" if flat else "NOT flat")
    return 0 if flat else 1


def _middle(looks: list[Look]) -> Look:
    return Look(
        rss_bytes=int(median(look.rss_bytes for look in looks)),
        handles=int(median(look.handles for look in looks)),
        threads=int(median(look.threads for look in looks)),
    )


if __name__ == "__main__":
    sys.exit(main())
