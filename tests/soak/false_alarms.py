"""Rolls a release that is as good as the one before it out to fleets that live as fleets do, again and again.

    python -m tests.soak.false_alarms [DEVICES ROLLOUTS]

prints for each size of fleet how many rollouts were taken back, and how many did not come to their end within
a day. Devices lose their network without a goodbye (2 % are away at any time, half of them for minutes, half
for a day), one in a hundred has a slow line, frames fail now and then, and what is measured is noisy.
Only the decisions are real here, and time is the rollout's own.
"""

import math
import random
import sys
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from msgspec.structs import replace

from agent.core.telemetry.latency import Sketch
from agent.core.update.cohort import cut_of, position
from agent.wire.documents import Plan
from agent.wire.reports import BINS, Evidence, Report
from agent.wire.topics import DeviceId, sha256
from deploy.core.rollouts import steps
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.state import Fleet, Rollout, fold
from deploy.core.rollouts.words import Line, Outcome, Started
from tests.fakes.rollouts import (
    CANDIDATE,
    COMMITTED,
    FETCHING,
    ON_PROBATION,
    ON_TRIAL,
    STABLE,
    UNREACHED,
    VARIANT,
    after,
    order,
    report,
)

WAVES = ("1", "5%", "25%", "100%")
SIZES = ((20, 500), (200, 100), (2_000, 10))
STEP_S, DAY_S = 60.0, 86_400.0
AWAY_SHARE, BLIP_S, OUTAGE_S = 0.02, 600.0, 86_400.0
SLOW_SHARE = 0.01
TRIAL_S, PROBATION_S = 60.0, 150.0
FRAME_FAILS = 1e-4
RESTARTS_AN_HOUR = 0.002
LABELS = 30
SHOWN, MINUTES = 100, (0, 1, 2, 3, 5, 10, 20, 40)
"""So many different evidences are dealt out, and grow so often: to make one costs more than to judge it."""


class Device:
    def __init__(self, rng: random.Random, salt: str, number: int) -> None:
        self.id = DeviceId(f"pi-{number:04}")
        self.place = position(salt, self.id)
        self._rng = rng
        self.online = rng.random() > AWAY_SHARE
        self.gone_at: float | None = None
        self.free_at: float | None = None
        self._until = self._lasts(0.0)
        self.fetch_s = rng.uniform(600.0, 1_500.0) if rng.random() < SLOW_SHARE else rng.uniform(20.0, 120.0)
        self.done_s = 0.0
        self.serial = 0
        self.heard_at = 0.0
        self.shown = rng.randrange(SHOWN)
        self.told: Report = report(self.id, **UNREACHED)

    def _lasts(self, now: float) -> float:
        """Until it goes or comes back; half of the time away is spent in blips, half in outages."""
        if not self.online:
            blip = self._rng.random() < OUTAGE_S / (BLIP_S + OUTAGE_S)
            return now + self._rng.expovariate(1 / (BLIP_S if blip else OUTAGE_S))
        away_s = 2 / (1 / BLIP_S + 1 / OUTAGE_S)
        return now + self._rng.expovariate(AWAY_SHARE / (1 - AWAY_SHARE) / away_s)

    def live(self, now: float, plan: Plan | None) -> None:
        while now >= self._until:
            self.online = not self.online
            self.gone_at, self.free_at = (None, self._until) if self.online else (self._until, self.free_at)
            self._until = self._lasts(self._until)
        if not self.online:
            return
        if plan is not None and plan.candidate is not None:
            self.serial = plan.serial
            self.done_s += STEP_S if self.place < cut_of(plan.cut, "cpu") else 0.0
        self.heard_at = now
        self.told = self._tells()

    def _tells(self) -> Report:
        seen = report(self.id, plan_serial=self.serial)
        trial_s = self.fetch_s
        if self.done_s <= 0.0:
            return seen
        if self.done_s < trial_s:
            return replace(seen, **FETCHING)
        if self.done_s < trial_s + TRIAL_S:
            return replace(seen, **ON_TRIAL)
        served_s = self.done_s - trial_s - TRIAL_S
        now, before = shown(self.shown, max(minutes for minutes in MINUTES if 60.0 * minutes <= served_s))
        stage = ON_PROBATION if served_s < PROBATION_S else COMMITTED
        return replace(seen, **stage, serving=now, before=before)

    def seen(self) -> Seen:
        return Seen(
            id=self.id,
            hardware="cpu",
            online=self.online,
            gone_at=None if self.gone_at is None else after(self.gone_at),
            free_at=None if self.free_at is None else after(self.free_at),
            report=self.told,
            heard_at=after(self.heard_at),
        )


@lru_cache(maxsize=SHOWN * 64)
def shown(number: int, minutes: int) -> tuple[Evidence, Evidence]:
    """Of a device, after so many minutes at a frame a second; and of the release before it."""
    rng = random.Random(number)
    base_ms, drift = rng.uniform(5.0, 80.0), math.exp(rng.gauss(0.0, 0.07))
    score, moved = rng.uniform(0.6, 0.9), rng.gauss(0.0, 0.03)
    weights = [rng.random() ** 2 for _ in range(LABELS)]
    now_weights = [weight * math.exp(rng.gauss(0.0, 0.25)) for weight in weights]
    warm_c = rng.uniform(45.0, 65.0)
    before = evidence(rng, STABLE, 3_000, base_ms, score, weights, warm_c)
    rng = random.Random(f"{number} {minutes}")
    frames = 60 * minutes + 1
    now = evidence(
        rng, CANDIDATE, frames, base_ms * drift, score + moved, now_weights, warm_c + rng.gauss(0, 2)
    )
    agreed = sum(rng.random() < 0.85 for _ in range(20))
    return replace(now, shadow_frames=20, agreed_frames=agreed), before


def evidence(rng, of, frames, base_ms, score, weights, soc_c) -> Evidence:
    """Some frames in a hundred take thrice as long: another program had the processor."""
    sketch, bins = Sketch(), [0] * BINS
    for _ in range(min(frames, 500)):
        sketch.add(base_ms * rng.lognormvariate(0.0, 0.12) * (3.0 if rng.random() < 0.03 else 1.0))
        bins[min(max(int(rng.gauss(score, 0.15) * BINS), 0), BINS - 1)] += 1
    named = Counter(f"label {label}" for label in rng.choices(range(LABELS), weights, k=min(frames, 500)))
    return Evidence(
        manifest=of.manifest,
        digest=VARIANT,
        frames=frames,
        errors=sum(rng.random() < FRAME_FAILS for _ in range(frames)),
        restarts=int(rng.random() < RESTARTS_AN_HOUR * frames / 3_600.0),
        invoke_ms=sketch.to_document(),
        confidence=tuple(bins),
        classes=dict(named),
        soc_c_max=soc_c,
    )


def roll_out(seed: int, devices: int) -> Rollout:
    rng, salt = random.Random(seed), f"salt {seed}"
    fleet, every = Fleet(), [Device(rng, salt, number) for number in range(devices)]
    ordered = order(*WAVES, salt=salt)
    now, entries = 0.0, (Started(order=ordered),)
    while now < DAY_S:
        lines = (Line(number=1, at=after(now), entry=each, chain=sha256(b"")) for each in entries)
        fleet = fold(lines, fleet)
        rollout = fleet.rollouts[ordered.rollout]
        if rollout.outcome is not None:
            return rollout
        now += STEP_S
        for device in every:
            device.live(now, rollout.plan)
        picture = Picture(at=after(now), devices=tuple(device.seen() for device in every))
        entries = steps.step(fleet, ordered.rollout, picture, rollout.plan)
    return fleet.rollouts[ordered.rollout]


def ends(devices: int, rollouts: int) -> Iterator[tuple[str, str]]:
    for seed in range(rollouts):
        ended = roll_out(seed, devices)
        if ended.outcome is Outcome.COMPLETED:
            yield "completed", ""
        elif ended.outcome is not None:
            yield "taken back", ended.aborted or ""
        else:
            yield "held", "" if ended.judgement is None else ended.judgement.words


def main() -> int:
    """1 where one in a hundred is taken back, or is held for a day."""
    asked = [int(each) for each in sys.argv[1:]]
    wrong = 0
    for devices, rollouts in [(asked[0], asked[1])] if asked else SIZES:
        found = list(ends(devices, rollouts))
        counts = Counter(end for end, _ in found)
        print(f"{devices} devices, {rollouts} rollouts: {dict(counts)}", flush=True)
        for end, why in found:
            if why:
                print(f"  {end}: {why[:300]}", flush=True)
        wrong += counts["taken back"] + counts["held"] > rollouts / 100
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
