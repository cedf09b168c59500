"""How many devices a bad release reaches: the controller's decisions, without a broker, over many seeds.

A release is pushed to a thousand devices in waves of 1, 5 %, 25 % and everybody. Time is the rollout's own:
the controller looks a while after each wave began, and again as long as it holds.
"""

import random
from dataclasses import dataclass, field

import pytest

from agent.core.update.cohort import cut_of, position
from agent.wire.topics import DeviceId, sha256
from deploy.core.rollouts import steps
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.state import Fleet, fold
from deploy.core.rollouts.words import GatePolicy, Line, Outcome, Started
from tests.fakes.rollouts import (
    COMMITTED,
    FETCHING,
    ON_PROBATION,
    REVERTED,
    UNREACHED,
    after,
    away,
    order,
    report,
    seen,
)

DEVICES = 1_000
WAVES = ("1", "5%", "25%", "100%")
LOOK_S, DEADLINE_S = 600.0, 1_800.0
TURNS_MAX = 40
IDS = [DeviceId(f"pi-{n:04}") for n in range(DEVICES)]
UNTOUCHED = {each: seen(each, report(each, **UNREACHED)) for each in IDS}
ABSENT = {each: away(each) for each in IDS}


@dataclass(slots=True)
class World:
    """Devices that obey every plan; what becomes of them is drawn beforehand."""

    seed: int
    dies: float = 0.0
    crashes: float = 0.0
    absent: float = 0.0
    slow: float = 0.0
    at: float = 0.0
    reached: dict[DeviceId, float] = field(default_factory=dict)
    """When each device began the candidate."""
    fates: dict[DeviceId, str] = field(default_factory=dict)
    places: dict[DeviceId, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        weights = [self.dies, self.crashes, self.absent, self.slow]
        kinds = ["dies", "crashes", "absent", "slow", "well"]
        drawn = rng.choices(kinds, [*weights, 1 - sum(weights)], k=DEVICES)
        self.fates = dict(zip(IDS, drawn, strict=True))
        self.places = {device: position(self.salt, device) for device in IDS}

    @property
    def salt(self) -> str:
        return f"salt {self.seed}"

    def obey(self, plan) -> None:
        if plan is None or plan.candidate is None:
            return
        cut = cut_of(plan.cut, "cpu")
        for device, fate in self.fates.items():
            if fate != "absent" and device not in self.reached and self.places[device] < cut:
                self.reached[device] = self.at

    def picture(self, serial) -> Picture:
        return Picture(at=after(self.at), devices=tuple(self.seen(each, serial) for each in self.fates))

    def seen(self, device, serial) -> Seen:
        if device not in self.reached:
            return ABSENT[device] if self.fates[device] == "absent" else UNTOUCHED[device]
        begun = self.reached[device]
        match self.fates[device]:
            case "dies":
                told = ON_PROBATION
            case "crashes":
                told = REVERTED
            case "slow" if self.at - begun < 1.5 * LOOK_S:
                told = FETCHING
            case _:
                told = COMMITTED
        dead = self.fates[device] == "dies"
        return Seen(
            id=device,
            hardware="cpu",
            online=not dead,
            gone_at=after(begun + 60.0) if dead else None,
            heard_at=after(self.at - 5.0),
            report=report(device, **told, plan_serial=serial),
        )


def run(world, waves=WAVES, **gate):
    """The rollout as it ended, or as it stands after so many looks."""
    ordered = order(*waves, salt=world.salt, gate=GatePolicy(deadline_s=DEADLINE_S, **gate))
    fleet, serial = Fleet(), 0
    entries = (Started(order=ordered),)
    for _ in range(TURNS_MAX):
        lines = tuple(Line(number=1, at=after(world.at), entry=e, chain=sha256(b"")) for e in entries)
        fleet = fold(lines, fleet)
        rollout = fleet.rollouts[ordered.rollout]
        if rollout.outcome is not None:
            return rollout
        if rollout.plan is not None:
            serial = rollout.plan.serial
            world.obey(rollout.plan)
            world.at += LOOK_S
        entries = steps.step(fleet, ordered.rollout, world.picture(serial), rollout.plan)
    return fleet.rollouts[ordered.rollout]


def test_a_release_that_silently_kills_a_third_reaches_few_and_is_taken_back():
    exposed = []
    for seed in range(100):
        world = World(seed, dies=0.3)
        assert run(world).outcome is Outcome.REVERTED
        exposed.append(len(world.reached))
    assert sorted(exposed)[98] <= 60
    assert max(exposed) <= 60


@pytest.mark.parametrize("seed", range(3))
def test_a_release_that_is_well_reaches_everybody_whom_it_can(seed):
    world = World(seed, absent=0.02, slow=0.03)
    assert run(world).outcome is Outcome.COMPLETED
    assert len(world.reached) == sum(fate != "absent" for fate in world.fates.values())


def test_devices_that_are_away_are_no_canaries_and_stop_no_rollout():
    for seed in range(4):
        world = World(seed, absent=0.15)
        assert run(world).outcome is Outcome.COMPLETED
        assert len(world.reached) == sum(fate != "absent" for fate in world.fates.values())


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_devices_that_take_it_back_themselves_stop_it_as_well(share):
    for seed in range(4):
        world = World(seed, crashes=share)
        assert run(world).outcome is Outcome.REVERTED
        assert len(world.reached) <= 250


def test_a_single_wave_over_everybody_is_taken_back_too():
    world = World(1, dies=0.3)
    assert run(world, waves=("100%",)).outcome is Outcome.REVERTED
