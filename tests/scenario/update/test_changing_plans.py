"""Two releases in one plan, and plans that change while a device follows one."""

import asyncio

import pytest
from msgspec.structs import replace

from agent.core.update.lifecycle import Fetching, Idle
from agent.wire.reasons import Reason
from agent.wire.reports import Outcome, Phase
from agent.wire.topics import sha256
from tests.scenario.one_device.home import ROOT, pieces
from tests.scenario.one_device.life import living, run
from tests.scenario.update.steps import committed, order_two, refused

SUPERSEDED = (Reason.SUPERSEDED, "cats 1 is wanted")
WITHDRAWN = (Reason.SUPERSEDED, "the plan offers this device nothing in its place")


@pytest.mark.parametrize("stage", ["fetching", "trial", "probation"])
@pytest.mark.parametrize("then", ["1", None])
def test_a_candidate_that_is_taken_back_ends_wherever_it_is(home, stage, then):
    """By a plan with the stable release in its place, and by one that offers nothing."""

    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            if stage == "fetching":
                home.broker.lose(ROOT.chunk(sha256(pieces("2")[7])))
            if stage == "trial":
                device.spawning.clear()
            order_two(home, device)
            device.update.poke()
            await device.until(lambda: home.report.phase == stage)
            home.order(3, stable=then)
            await device.looks_again()
            await device.quiet()
            reason, detail = SUPERSEDED if then else WITHDRAWN
            outcome = Outcome.REVERTED if stage == "probation" else Outcome.REFUSED
            assert device.record.last == replace(refused(device, "2", reason, detail), outcome=outcome)
            assert (device.record.state, device.record.known_bad) == (Idle(active=home.fitted("1")), ())
            assert device.runs == "1"
            assert device.link.filters == ()
            assert home.report.phase == (Phase.IDLE if then else Phase.HELD)
            device.spawning.set()
            home.broker.heal()
            home.order(4, stable="1", candidate="2")
            device.update.poke()
            await device.commits("2")

    run(life())


@pytest.mark.parametrize("revoked", [True, False])
def test_what_is_taken_back_after_it_has_committed_has_no_say_in_it(home, revoked):
    """No trial is to be had: it would be beside a release that may answer wrongly, or not at all."""

    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            order_two(home, device)
            device.update.poke()
            await device.commits("2")
            device.spawning.clear()
            home.order(3, stable="1", revoked=(home.fitted("2").manifest,) if revoked else ())
            device.update.poke()
            await device.until(lambda: device.runs == "1")
            await device.quiet()
            assert (device.record.state, device.record.last) == (
                Idle(active=home.fitted("1")),
                committed(home.fitted("1")),
            )

    run(life())


def test_of_two_plans_in_quick_succession_the_second_counts(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.publish("3")
            home.scripted.open.clear()
            order_two(home, device)
            device.update.poke()
            await device.until(lambda: home.scripted.refreshes == 2)
            device.update.poke()
            home.scripted.open.set()
            home.order(3, stable="1", candidate="3")
            await device.commits("3")
            assert "2" not in [spec.version for spec in device.worker.served]

    run(life())


def test_back_and_forth_between_plans_no_word_of_an_ended_job_counts(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            for serial in range(2, 40):
                home.order(serial, stable="1", candidate=None if serial % 2 else "2")
                device.update.poke()
                for _ in range(serial):
                    device.worker.frame(home.clock)
                    await asyncio.sleep(0)
            home.order(40, stable="1", candidate="2")
            device.update.poke()
            await device.commits("2")

    run(life())


def test_a_revoked_candidate_is_held_and_a_revoked_download_ends(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.broker.lose(ROOT.chunk(sha256(pieces("2")[7])))
            home.order(2, candidate="2")
            device.update.poke()
            await device.until(lambda: isinstance(device.record.state, Fetching))
            revoked = home.fitted("2").manifest
            home.order(3, candidate="2", revoked=(revoked,))
            await device.looks_again()
            assert device.record.last == refused(device, "2", Reason.REVOKED)
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.REVOKED)
            assert home.report.known_bad == {}
            assert device.link.filters == ()

    run(life())


def test_what_was_revoked_once_stays_refused_whatever_a_later_plan_says(home):
    """Whoever has stolen the online keys can leave a revocation out; he cannot make a device forget it."""

    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.order(2, candidate="2", revoked=(home.fitted("2").manifest,))
            await device.looks_again()
        async with living(home) as device:
            for serial, offer in ((3, {"candidate": "2"}), (4, {"stable": "2"})):
                home.order(serial, **offer)
                await device.looks_again()
                assert home.report.plan_serial == serial
                assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.REVOKED)
            assert device.record.state.active.version == "1"
            assert home.broker.subscribed[ROOT.chunk(sha256(pieces("2")[0]))] == 0

    run(life())
