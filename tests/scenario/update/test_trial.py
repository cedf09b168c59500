"""A candidate that fails before it is activated, and a trial that cannot be held."""

import asyncio

import pytest
from msgspec.structs import replace

from agent.core.update.known_bad import Bad
from agent.wire.errors import Unavailable
from agent.wire.ipc import ProveFailed
from agent.wire.reasons import Reason
from agent.wire.reports import Phase
from tests.scenario.one_device.life import living, run
from tests.scenario.one_device.worker import FOUND
from tests.scenario.update.steps import order_two, refused


def test_a_candidate_that_fails_leaves_the_device_with_the_stable_release_at_once(home):
    """And no plan need be published for it, nor the hour of the next look pass."""

    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.publish("3")
            home.order(2, stable="2", candidate="3")
            device.proved = ProveFailed(
                manifest=home.fitted("3").manifest, reason=Reason.LOAD_FAILED, detail="no such op"
            )
            device.update.poke()
            await device.until(
                lambda: device.record.last == refused(device, "3", Reason.LOAD_FAILED, "no such op")
            )
            device.proved = FOUND
            await device.commits("2")
            assert device.record.known_bad == (Bad(home.fitted("3").variant, Reason.LOAD_FAILED),)
            report = home.report
            assert (report.phase, report.reason, report.detail) == (Phase.HELD, Reason.KNOWN_BAD, "cats 3")
            assert report.known_bad == {home.fitted("3").variant: Reason.LOAD_FAILED}
            before = home.chunks_delivered
            await device.looks_again()
            assert home.chunks_delivered == before

    run(life())


def with_nothing_found():
    return replace(FOUND, invoke_ms=(9_000.0,))


def test_a_failed_release_is_held_as_known_bad_and_never_fetched_again(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.order(2, candidate="2")
            device.proved = with_nothing_found()
            device.update.poke()
            await device.until(lambda: home.report.reason is Reason.KNOWN_BAD)
            before = home.chunks_delivered
            for serial in (3, 4):
                home.order(serial, candidate="2")
                await device.looks_again()
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.KNOWN_BAD)
            assert (home.chunks_delivered, device.runs) == (before, "1")

    run(life())


def test_a_canary_that_cannot_be_started_is_tried_again_and_condemns_nothing(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            spawn, refusals = device.update._jobs._spawn_canary, 0

            async def refuse():
                nonlocal refusals
                refusals += 1
                if refusals > 2:
                    return await spawn()
                raise Unavailable("canary cannot be started: no memory")

            device.update._jobs._spawn_canary = refuse
            order_two(home, device)
            device.update.poke()
            await device.commits("2")
            assert refusals == 3

    run(life())


def test_a_fault_in_a_job_ends_the_loop_instead_of_leaving_it_waiting(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")

            async def broken():
                raise AssertionError("a bug")

            device.update._jobs._spawn_canary = broken
            order_two(home, device)
            device.update.poke()
            with pytest.raises(AssertionError, match="a bug"):
                await device.until(lambda: False)
            device.running = asyncio.create_task(asyncio.Event().wait())

    run(life())
