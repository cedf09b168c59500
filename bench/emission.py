"""What the supervisor spends on each prediction: decide, encode, publish, measure, weigh.

    python bench/emission.py [--frames N]

The link only counts: what the network costs is not ours. `share` is of a frame at 100 frames a second;
`window` is what closing a telemetry window of 1,000 frames takes once.
"""

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from statistics import median
from time import perf_counter

from agent.adapters.clock_system import SystemClock
from agent.core.telemetry.emission import EmissionMode, Rules
from agent.core.update.lifecycle import Fitted, Idle, Record
from agent.loops.telling.meter import Sources
from agent.loops.telling.post import Post
from agent.loops.telling.reporter import Identity, Reporter
from agent.loops.telling.service import Service
from agent.ports.link import Outgoing
from agent.wire import topics
from agent.wire.documents import Delegate
from agent.wire.ipc import Predicted
from agent.wire.reports import Capabilities, Ranked, StageLatency
from agent.wire.topics import DeviceId, Root, sha256

FRAME_S = 0.01
ROUNDS = 5
CLASSES = 1000
RELEASE = Fitted(
    name="bench",
    version="1",
    manifest=sha256(b"manifest"),
    variant=sha256(b"variant"),
    delegate=Delegate.CPU,
    files=(),
)
RULES = {
    "every": Rules(),
    "every, 5/s": Rules(at_most_per_s=5.0),
    "change": Rules(mode=EmissionMode.CHANGE, heartbeat_s=60.0, hysteresis=0.1, floor=0.3),
    "change, mean of 10": Rules(mode=EmissionMode.CHANGE, hysteresis=0.1, smoothing_frames=10),
    "change, mean of 100": Rules(mode=EmissionMode.CHANGE, hysteresis=0.1, smoothing_frames=100),
}


class CountingLink:
    """Accepts everything."""

    def __init__(self) -> None:
        self.published = 0
        self._sent: Future[None] = Future()
        self._sent.set_result(None)

    def publish(self, _: Outgoing) -> Future[None]:
        self.published += 1
        return self._sent


@dataclass(frozen=True, slots=True)
class Cost:
    frame_us: float
    window_ms: float
    published: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1000)
    frames = stream(parser.parse_args().frames)
    print(f"{'rules':<22}{'us/frame':>10}{'share':>9}{'published':>11}{'window ms':>11}")
    for name, rules in RULES.items():
        cost = measure(rules, frames)
        share = cost.frame_us / 1e6 / FRAME_S
        print(f"{name:<22}{cost.frame_us:>10.1f}{share:>9.2%}{cost.published:>11}{cost.window_ms:>11.2f}")
    return 0


def stream(count: int) -> list[Predicted]:
    """Five ranked labels of a thousand each, a new scene every 50 frames."""
    random = Random(1)  # noqa: S311 - scenes, no secrets
    return [_predicted(number, random) for number in range(count)]


def _predicted(number: int, random: Random) -> Predicted:
    scene = number // 50 * 37 % CLASSES
    scores = sorted((random.random() for _ in range(5)), reverse=True)
    others = random.sample(range(CLASSES), 4)
    return Predicted(
        manifest=RELEASE.manifest,
        sequence=number,
        frame="",
        captured_at=datetime(2026, 1, 1, tzinfo=UTC),
        predictions=tuple(
            Ranked(index=index, label=f"class {index}", score=score)
            for index, score in zip((scene, *others), scores, strict=True)
        ),
        latency_ms=StageLatency(capture=3.1, pre=2.2, invoke=random.uniform(5, 9), post=0.3, age=14.0),
        frames=number,
        frames_dropped=0,
    )


def measure(rules: Rules, frames: list[Predicted]) -> Cost:
    costs = [_once(rules, frames) for _ in range(ROUNDS)]
    return Cost(
        median(cost.frame_us for cost in costs), median(cost.window_ms for cost in costs), costs[-1].published
    )


def _once(rules: Rules, frames: list[Predicted]) -> Cost:
    link, clock = CountingLink(), SystemClock()
    identity = Identity(Root("shoal/bench"), DeviceId("bench"), topics.MAIN, Capabilities())
    service = Service(Reporter(Post(link), clock, identity), clock, Sources(rss=dict), 10.0, rules)
    service.follow(Record(state=Idle(active=RELEASE)))
    before = link.published
    took_s = _timed(lambda: [service.observe(seen) for seen in frames])
    published = link.published - before
    return Cost(took_s / len(frames) * 1e6, _timed(service.tell) * 1e3, published)


def _timed(call: Callable[[], object]) -> float:
    began = perf_counter()
    call()
    return perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
