"""The power is cut before and after every write and every effect of an update, and comes back."""

import random
import shutil
from collections.abc import Callable
from contextlib import suppress

import pytest
from msgspec.structs import replace

from agent.core.update.known_bad import Bad
from agent.core.update.lifecycle import Idle, Record
from agent.core.update.window import FIRST_LIMIT
from agent.wire.reasons import Reason
from agent.wire.reports import Ended, Outcome, Phase
from tests.fakes.link import MemoryLink
from tests.scenario.one_device.home import CHUNKS, PROBATION, TRIAL, Home, SwiftDisk
from tests.scenario.one_device.life import Life, living, run
from tests.scenario.one_device.worker import intact


class PowerCut(BaseException):
    """Nothing of the agent's may catch it."""


class Power:
    """Counts what touches the world, and goes off for good when the test says so."""

    def __init__(self, goes: Callable[[list[str]], bool] = lambda _: False) -> None:
        self.goes = goes
        self.touched: list[str] = []
        self.is_off = False

    def touch(self, what: str) -> None:
        self.is_off = self.is_off or self.goes(self.touched)
        if self.is_off:
            raise PowerCut
        self.touched.append(what)


def after(count: int) -> Callable[[list[str]], bool]:
    return lambda touched: len(touched) >= count


def with_the(count: int, what: str) -> Callable[[list[str]], bool]:
    return lambda touched: touched.count(what) >= count


def _touching(name):
    def operation(self, *arguments, **named):
        self.power.touch(f"before {name}")
        result = getattr(super(type(self), self), name)(*arguments, **named)
        self.power.touch(f"after {name}")
        return result

    return operation


class MortalDisk(SwiftDisk):
    def __init__(self, power: Power) -> None:
        self.power = power


for _name in ("create", "write", "permit", "rename", "remove"):
    setattr(MortalDisk, _name, _touching(_name))


class MortalLink(MemoryLink):
    def __init__(self, broker, power: Power) -> None:
        super().__init__(broker)
        self.power = power

    def subscribe(self, topics, qos, sink) -> None:
        self.power.touch("before subscribe")
        super().subscribe(topics, qos, sink)
        self.power.touch("after subscribe")

    def publish(self, outgoing):
        if self.power.is_off:
            self.drop()
        return super().publish(outgoing)


class MortalLife(Life):
    """A run that ends at once and without a word when the power goes."""

    def __init__(self, home: Home, power: Power) -> None:
        self.power = power
        super().__init__(
            home,
            store=home.store(MortalDisk(power)),
            link=MortalLink(home.broker, power),
            answer=self._serve,
        )

    def _serve(self, model):
        self.power.touch("before serve")
        answer = intact(model)
        self.power.touch("after serve")
        return answer

    async def spawn(self):
        self.power.touch("before canary")
        canary = await super().spawn()
        self.power.touch("after canary")
        return canary


async def live(home: Home, power: Power) -> list[str]:
    """One life, till its power goes or release 2 is committed: what it served."""
    served: list[str] = []
    with suppress(PowerCut):
        life = MortalLife(home, power)
        life.start()
        try:
            await life.until(lambda: power.is_off or _settled(life) == home.fitted("2"), frames=True)
            if not power.is_off:
                await life.quiet()
        finally:
            served = [spec.version for spec in life.worker.served]
            life.link.drop()
            await life.stop_dead()
    return served


def _settled(life: Life):
    state = life.record.state
    return state.active if isinstance(state, Idle) else None


@pytest.fixture(scope="module")
def with_one(tmp_path_factory):
    """The folder of a device that has committed release 1 and is switched off."""
    home = Home(tmp_path_factory.mktemp("template"))
    home.publish("1")
    home.order(1, stable="1")

    async def life():
        async with living(home) as device:
            await device.commits("1")

    run(life())
    return home.folder


def updating(with_one, folder) -> Home:
    """A device that runs release 1 and is to run release 2."""
    shutil.copytree(with_one, folder)
    home = Home(folder)
    home.publish("1")
    home.publish("2")
    home.order(2, stable="1", candidate="2")
    return home


def fresh(_, folder) -> Home:
    """A device that runs nothing and is to run release 2."""
    folder.mkdir()
    home = Home(folder)
    home.publish("2")
    home.order(2, candidate="2")
    return home


def committed(home: Home, fallback: str | None) -> Record:
    release = home.fitted("2")
    return Record(
        state=Idle(active=release, fallback=None if fallback is None else home.fitted(fallback)),
        last=Ended(name="cats", version="2", manifest=release.manifest, outcome=Outcome.COMMITTED),
        plan_serial=2,
        trial=TRIAL,
        probation=PROBATION,
    )


@pytest.mark.parametrize(("make", "before"), [(updating, "1"), (fresh, None)])
def test_wherever_the_power_is_cut_the_next_life_serves_a_sound_model_and_commits(
    with_one, tmp_path, make, before
):
    async def every_cut():
        whole = make(with_one, tmp_path / "whole")
        power = Power()
        await live(whole, power)
        assert {"after serve", "after canary", "after rename", "after write"} <= set(power.touched)
        for cut, last in enumerate(power.touched):
            home = make(with_one, tmp_path / f"cut {cut}")
            await live(home, Power(after(cut)))
            if before is not None:
                assert all(home.store().verify(d) for d in home.fitted(before).files), cut
            served = await live(home, Power())
            record = home.store().load()
            assert replace(record, handover=None) == committed(home, before), (cut, last)
            assert (record.handover is None) is (before is None), (cut, last)
            assert (served[0] in {before, "2"}, served[-1]) == (True, "2")
            assert home.chunks_delivered <= CHUNKS + FIRST_LIMIT, (cut, last)
            assert all(home.store().verify(d) for d in home.fitted("2").files)

    run(every_cut(), 60.0)


@pytest.mark.parametrize(
    ("cuts", "outcome", "reason"),
    [
        ([(1, "after canary"), (1, "after canary")], Outcome.REFUSED, Reason.CRASHED_IN_TRIAL),
        ([(2, "after serve"), (1, "after serve")], Outcome.REVERTED, Reason.RESTARTED_IN_PROBATION),
    ],
)
def test_two_crashes_in_a_trial_or_on_probation_are_the_end_of_a_candidate(
    with_one, tmp_path, cuts, outcome, reason
):
    async def crashes():
        home = updating(with_one, tmp_path / "device")
        for count, what in cuts:
            await live(home, Power(with_the(count, what)))
        await settle(home)
        record, bad = home.store().load(), home.fitted("2").variant
        assert record.last is not None
        assert (record.last.outcome, record.last.reason) == (outcome, reason)
        assert (record.state, record.known_bad) == (Idle(active=home.fitted("1")), (Bad(bad, reason),))
        assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.KNOWN_BAD)

    run(crashes())


@pytest.mark.parametrize("seed", range(12))
def test_after_any_number_of_cuts_the_device_is_on_the_heir_or_on_what_it_had(with_one, tmp_path, seed):
    rng = random.Random(seed)

    async def many_cuts():
        home = updating(with_one, tmp_path / "device")
        for _ in range(rng.randrange(2, 6)):
            await live(home, Power(after(rng.randrange(5, 110))))
            assert all(home.store().verify(d) for d in home.fitted("1").files)
        await settle(home)
        record = home.store().load()
        if record.state.active == home.fitted("2"):
            assert replace(record, handover=None) == committed(home, "1")
            return
        assert record.state == Idle(active=home.fitted("1"))
        assert record.last is not None
        assert (record.last.outcome, record.last.reason) in {
            (Outcome.REFUSED, Reason.CRASHED_IN_TRIAL),
            (Outcome.REVERTED, Reason.RESTARTED_IN_PROBATION),
        }
        assert [bad.digest for bad in record.known_bad] == [home.fitted("2").variant]

    run(many_cuts(), 60.0)


async def settle(home: Home) -> None:
    async with living(home) as device:
        await device.until(
            lambda: home.scripted.refreshes and isinstance(device.record.state, Idle), frames=True
        )
        await device.quiet()
        await device.until(lambda: isinstance(device.record.state, Idle), frames=True)
