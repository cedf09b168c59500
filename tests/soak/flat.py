"""Memory, handles and threads over hours of frames in minutes: `make flat MINUTES=10`.

One device classifies synthetic frames as fast as its model can, publishes each prediction and one telemetry
window a second, and is looked at all the while. What it holds at the end must be what it held once it had
warmed up. At ten frames a second, the demo's rate, ten hours are 360,000 frames.

With `--hard` two pipelines share a camera, predictions are published on change and kept on disk, and the
broker is away for a minute in the middle. With `--visited` it lives as in a house: ten frames a second, a
page whose viewer comes and goes, Prometheus, and a Home Assistant that restarts.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from agent.adapters.link_mqtt import LinkSettings
from agent.wire import topics
from agent.wire.topics import House
from deploy.adapters.broker_local import start_broker
from tests import models
from tests.mosquittos import free_port
from tests.processes import descendants
from tests.rig import Agent, Heard, fleet, listening
from tests.scenario.outage import Outage
from tests.soak.visitors import visited

CAMERA = 'kind = "pattern"\nrate_fps = {rate_fps}\nwidth_px = 160\nheight_px = 120\n'
HARD_RATE_FPS = 200
"""A shared camera has a rhythm of its own, whoever reads it."""
HARD = """
[emission]
mode = "change"
hysteresis = 0.0
[outbox]
predictions = true
[pipeline.guest]
stream = "main"
[pipeline.guest.camera]
kind = "shared"
of = "main"
every_nth = 2
"""
VISITED = """
[web]
listen = "127.0.0.1:{port}"
[homeassistant]
enabled = true
frame_every_s = 1
"""
AWAY_S = 60.0
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
    parser.add_argument(
        "--hard", action="store_true", help="two pipelines, an outbox, a broker that goes away"
    )
    parser.add_argument(
        "--visited", action="store_true", help="ten frames a second, a page, Prometheus, Home Assistant"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shoal-flat-") as name:
        story = _hard if options.hard else _visited if options.visited else _plain
        looks, frames, status = story(Path(name), options.minutes * 60)
    return _judge(looks, frames, options.minutes, status)


Looks = dict[str, list[Look]]


def _plain(folder: Path, for_s: float) -> tuple[Looks, int, int]:
    with start_broker(folder / "broker") as broker:
        made = fleet(folder, broker.url)
        made.release(models.shared(models.TINY), "1")
        made.roll_out("1")
        with listening(made) as ear, Agent(folder, made, camera=CAMERA.format(rate_fps=0)) as agent:
            assert ear.ended("1", COMMIT_S)["outcome"] == "committed"
            _forget(ear.heard)
            looks = watch(agent, for_s)
            return looks, _frames(ear.heard), agent.stop()


def _hard(folder: Path, for_s: float) -> tuple[Looks, int, int]:
    camera = CAMERA.format(rate_fps=HARD_RATE_FPS)
    with Outage(folder / "broker") as outage, ExitStack() as stack:
        made = fleet(folder, outage.broker.url)
        made.release(models.shared(models.TINY), "1")
        made.roll_out("1")
        ears = [stack.enter_context(listening(made, pipeline)) for pipeline in (topics.MAIN, "guest")]
        agent = stack.enter_context(Agent(folder, made, url=outage.url, camera=camera, more=HARD))
        for ear in ears:
            assert ear.ended("1", COMMIT_S)["outcome"] == "committed"
            _forget(ear.heard)
        looks = watch(agent, for_s / 2)
        outage.begin()
        _append(looks, watch(agent, AWAY_S))
        outage.end()
        outage.mend()
        _append(looks, watch(agent, for_s / 2))
        return looks, sum(_frames(ear.heard) for ear in ears), agent.stop()


def _visited(folder: Path, for_s: float) -> tuple[Looks, int, int]:
    port = free_port()
    with start_broker(folder / "broker") as broker:
        made = fleet(folder, broker.url)
        made.release(models.shared(models.TINY), "1")
        made.roll_out("1")
        host, broker_port = broker.url.removeprefix("mqtt://").rsplit(":", 1)
        home = LinkSettings(host, int(broker_port), "home")
        camera, more = CAMERA.format(rate_fps=DEMO_FPS), VISITED.format(port=port)
        with listening(made) as ear, Agent(folder, made, camera=camera, more=more) as agent:
            assert ear.ended("1", COMMIT_S)["outcome"] == "committed"
            _forget(ear.heard)
            with visited(f"http://127.0.0.1:{port}/", home, House()) as visitors:
                looks = watch(agent, for_s)
            print(f"{visitors.visits} visits, {visitors.pictures} pictures, {visitors.scrapes} scrapes")
            print(f"{len(agent.log.read_text().splitlines())} lines in its log")
            return looks, _frames(ear.heard), agent.stop()


def _append(looks: Looks, more: Looks) -> None:
    """
    Raises:
        KeyError: a process has come or gone meanwhile.
    """
    for name in looks:
        looks[name] += more[name]


def watch(agent: Agent, for_s: float) -> Looks:
    """Look at the supervisor and its children until the time is up, or one of them is gone."""
    assert agent.process is not None
    supervisor = agent.process.pid
    family = {supervisor: "supervisor"} | descendants(supervisor)
    looks: Looks = {f"{name} {pid}": [] for pid, name in family.items()}
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        for pid, name in family.items():
            looks[f"{name} {pid}"].append(_look(pid))
        time.sleep(LOOK_S)
    return looks


def _forget(heard: Heard) -> None:
    heard.predictions.clear()
    heard.telemetry.clear()


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


def _frames(heard: Heard) -> int:
    """Of the windows that were heard: those without a broker are not."""
    return sum(window.predictions for window in heard.telemetry)


def _judge(looks: Looks, frames: int, minutes: float, status: int) -> int:
    print(f"{frames} frames in {minutes:g} minutes: {frames / DEMO_FPS / 3600:.1f} hours of the demo's loop")
    print(f"{'':18} {'memory, MiB':>20} {'handles':>12} {'threads':>12}")
    flat = status == 0
    for name, seen in looks.items():
        warm = seen[int(len(seen) * WARM_SHARE) :]
        fifth = max(1, len(warm) // 5)
        first, last = _middle(warm[:fifth]), _middle(warm[-fifth:])
        print(
            f"{name:18} {first.rss_bytes / 2**20:9.1f} -> {last.rss_bytes / 2**20:7.1f} "
            f"{first.handles:5} -> {last.handles:3} {first.threads:5} -> {last.threads:3}"
        )
        flat &= last.rss_bytes <= first.rss_bytes * (1 + GROWTH_MAX)
        flat &= last.handles <= first.handles and last.threads <= first.threads
    print("flat" if flat else "NOT flat")
    return 0 if flat else 1


def _middle(looks: list[Look]) -> Look:
    return Look(
        rss_bytes=int(median(look.rss_bytes for look in looks)),
        handles=_often([look.handles for look in looks]),
        threads=_often([look.threads for look in looks]),
    )


def _often(counts: list[int]) -> int:
    """What a tenth of the looks reach: a viewer who is away half of the time counts, a moment does not."""
    return sorted(counts)[int(len(counts) * 0.9)]


if __name__ == "__main__":
    sys.exit(main())
