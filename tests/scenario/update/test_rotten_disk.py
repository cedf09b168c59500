"""What stands on the disk is not what it was."""

import pytest

from agent.core.update.lifecycle import Fetching, Idle, Trial
from agent.wire.errors import Stale
from agent.wire.topics import sha256
from tests.scenario.one_device.home import ROOT, pieces
from tests.scenario.one_device.life import living, run
from tests.scenario.one_device.worker import refusing
from tests.scenario.update.steps import order_two, running


async def two_committed(home):
    async with living(home) as device:
        await device.commits("1")
        home.publish("2")
        home.order(2, stable="1", candidate="2")
        device.update.poke()
        await device.commits("2")
        return device.record


def rot(home, *digests):
    for digest in digests:
        path = home.folder / "objects" / digest
        path.chmod(0o644)
        path.write_bytes(b"rotten" + path.read_bytes()[6:])


def test_an_active_release_that_is_not_served_at_a_start_gives_way_to_the_fallback(home):
    async def life():
        await two_committed(home)
        home.scripted.refresh_fault = Stale("expired")
        async with living(home, answer=refusing(home.fitted("2").variant)) as device:
            await device.until(lambda: device.runs == "1")
            await device.quiet()
            assert device.record.state == Idle(active=home.fitted("1"))
            assert home.report.active == running(home.fitted("1"))

    run(life())


@pytest.mark.parametrize("what", ["variant", "manifest"])
def test_a_rotten_active_release_gives_way_to_the_fallback_and_is_fetched_again(home, what):
    async def life():
        await two_committed(home)
        rot(home, getattr(home.fitted("2"), what))
        async with living(home) as device:
            await device.commits("2")
            assert [spec.version for spec in device.worker.served] == ["1", "2"]
            assert device.store.verify(home.fitted("2").variant)
            assert device.record.state.fallback == home.fitted("1")

    run(life())


def test_with_every_slot_rotten_nothing_is_served_until_it_is_fetched_again(home):
    async def life():
        await two_committed(home)
        rot(home, home.fitted("1").variant, home.fitted("2").variant)
        async with living(home) as device:
            await device.commits("2")
            assert [spec.version for spec in device.worker.served] == ["2"]

    run(life())


@pytest.mark.parametrize("gone", ["corrupt", "missing"])
def test_a_manifest_that_is_lost_while_its_release_is_fetched_is_laid_down_again(home, gone):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.broker.lose(ROOT.chunk(sha256(pieces("2")[7])))
            order_two(home, device)
            device.update.poke()
            await device.until(lambda: isinstance(device.record.state, Fetching))
        rot(home, home.fitted("2").manifest)
        if gone == "missing":
            (home.folder / "objects" / home.fitted("2").manifest).unlink()
        home.broker.heal()
        async with living(home) as device:
            await device.commits("2")
            assert device.record.known_bad == ()

    run(life())


def test_a_trial_whose_files_rot_between_two_lives_is_fetched_again(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            device.spawning.clear()
            order_two(home, device)
            device.update.poke()
            await device.until(lambda: isinstance(device.record.state, Trial))
        rot(home, home.fitted("2").variant, home.fitted("2").manifest)
        async with living(home) as device:
            await device.commits("2")
            assert device.record.state.fallback == home.fitted("1")

    run(life())
