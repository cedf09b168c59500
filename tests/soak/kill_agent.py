"""SIGKILL at any moment of a download or a swap, again and again: `make soak KILLS=200`.

One device pulls one new release after another through a slow line and is killed at random instants all the
while. After each kill it must come back with a verified model that serves, and a download must not cost
more than its own bytes plus one window of chunks a kill.
"""

import argparse
import itertools
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from agent.wire.documents import CHUNK_MAX_BYTES, Manifest
from deploy.adapters.broker_local import start_broker
from tests.fakes.chaosproxy import ChaosProxy
from tests.rig import LABELS, SHIPPED, Agent, Ear, Fleet, fleet, listening

LINE_BYTES_S = 4_000_000
WINDOW_CHUNKS = 8
KILLS_A_RELEASE = 8
SERVES_WITHIN_S = 30.0
SETTLES_WITHIN_S = 120.0
OVERHEAD_BYTES = 200_000
"""Signed metadata, acknowledgements and MQTT's own bytes, for each start of the agent."""


@dataclass(slots=True)
class Score:
    kills: int = 0
    releases: int = 0
    committed: int = 0
    slowest_s: float = 0.0
    """From a start to the first prediction."""
    dearest: float = 0.0
    """Bytes over what is allowed at most, worst release; 1.0 is the limit."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="shoal-soak-") as name:
        folder = Path(name)
        with start_broker(folder / "broker") as broker, ChaosProxy(broker.host, broker.port) as line:
            print(f"broker: {broker.kind}; seed {options.seed}", flush=True)
            score = soak(folder, fleet(folder, broker.url), line, options.kills, chance)
    print(f"{score.kills} kills over {score.releases} releases, {score.committed} committed")
    print(f"always a verified model, back within {score.slowest_s:.1f} s")
    print(f"dearest download: {score.dearest:.2f} of what is allowed")
    return 0


def soak(folder: Path, made: Fleet, line: ChaosProxy, kills: int, chance: random.Random) -> Score:
    """
    Raises:
        AssertionError: a promise was broken.
    """
    line.rate_bytes_s = LINE_BYTES_S
    score = Score()
    first = made.release(SHIPPED, "0", f"--labels={LABELS}")
    made.roll_out("0")
    agent = Agent(folder, made, url=f"mqtt://{line.host}:{line.port}")
    with listening(made) as ear, agent:
        assert ear.ended("0", SETTLES_WITHIN_S)["outcome"] == "committed"
        for number in itertools.count(1):
            if score.kills >= kills:
                return score
            budget = min(KILLS_A_RELEASE, kills - score.kills)
            _one_release(made, first, f"{number}", agent, ear, line, budget, chance, score)
            print(f"  release {number}: {score.kills} kills so far", flush=True)
    raise AssertionError


def _one_release(
    made: Fleet,
    like: Manifest,
    version: str,
    agent: Agent,
    ear: Ear,
    line: ChaosProxy,
    budget: int,
    chance: random.Random,
    score: Score,
) -> None:
    """Most kills fall into the download, some into trial and probation."""
    manifest = made.release_bytes(like, version, SHIPPED.read_bytes() + _unlike_any(version))
    before = line.bytes_down
    starts = 0
    made.roll_out(version)
    while starts < budget and not _over(ear, version):
        time.sleep(chance.uniform(0.05, 1.5))
        if _over(ear, version):
            break
        agent.kill()
        starts += 1
        _restart(agent, ear, score)
    score.kills += starts
    ended = ear.ended(version, SETTLES_WITHIN_S)
    score.releases += 1
    score.committed += ended["outcome"] == "committed"
    _check_bytes(manifest, line.bytes_down - before, starts, score)


def _unlike_any(version: str) -> bytes:
    """As long as a model: what a release shares with the one before it is not pulled."""
    return random.Random(version).randbytes(4_000_000)


def _over(ear: Ear, version: str) -> bool:
    last = ear.heard.report.last if ear.heard.report else None
    return last is not None and last.version == version


def _restart(agent: Agent, ear: Ear, score: Score) -> None:
    """Back with a model that was verified: every prediction names a digest that was once signed."""
    heard = len(ear.heard.predictions)
    began_s = time.monotonic()
    agent.start()
    ear.wait(lambda h: len(h.predictions) > heard, SERVES_WITHIN_S)
    score.slowest_s = max(score.slowest_s, time.monotonic() - began_s)


def _check_bytes(manifest: Manifest, pulled: int, starts: int, score: Score) -> None:
    own = sum(variant.artifact.length for variant in manifest.variants)
    allowed = own + starts * WINDOW_CHUNKS * CHUNK_MAX_BYTES + (starts + 1) * OVERHEAD_BYTES
    score.dearest = max(score.dearest, pulled / allowed)
    assert pulled <= allowed, f"{pulled} bytes for {own} with {starts} kills; at most {allowed} are allowed"


if __name__ == "__main__":
    sys.exit(main())
