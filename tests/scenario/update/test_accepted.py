"""A device whose people are asked before it begins a release."""

import pytest

from agent.adapters.acceptance_files import AcceptanceFiles
from agent.loops.release import acceptance
from agent.wire.errors import Stale, Unavailable
from agent.wire.reasons import Reason
from agent.wire.reports import Phase
from tests.scenario.one_device.life import living, run


@pytest.fixture(autouse=True)
def impatience(monkeypatch):
    monkeypatch.setattr(acceptance, "POLL_S", 0.005)


def waits(device, version):
    def now():
        offered = device.update.acceptance.offered
        return offered is not None and offered.version == version

    return now


def test_a_release_waits_until_it_is_accepted_and_then_needs_no_further_word(home):
    async def life():
        async with living(home, asks=True) as device:
            await device.until(lambda: home.reports and home.report.phase is Phase.HELD)
            assert (home.report.reason, home.report.detail) == (Reason.UNACCEPTED, "cats 1")
            assert device.runs is None
            assert device.update.acceptance.accept("1").manifest == home.fitted("1").manifest
            await device.commits("1")
            assert (device.update.acceptance.offered, home.report.reason) == (None, None)
            assert device.record.accepted == home.fitted("1").manifest

    run(life())


def test_what_was_accepted_is_no_word_for_a_later_release(home):
    async def life():
        async with living(home, asks=True) as device:
            await device.until(waits(device, "1"))
            device.update.acceptance.accept()
            with pytest.raises(Unavailable, match="no release waits"):
                device.update.acceptance.accept()
            await device.commits("1")
            home.publish("2")
            home.order(2, stable="1", candidate="2", urgent=True)
            await device.looks_again()
            assert (home.report.reason, device.runs) == (Reason.UNACCEPTED, "1")
            with pytest.raises(Unavailable, match="cats 2 waits to be accepted, not 1"):
                device.update.acceptance.accept("1")
            device.update.acceptance.accept("2")
            await device.commits("2")

    run(life())


def test_a_release_that_replaces_the_offered_one_before_the_word_arrives_waits_anew(home):
    async def life():
        async with living(home, asks=True) as device:
            await device.until(waits(device, "1"))
            home.publish("2")
            home.order(2, stable="2")
            device.update.acceptance.accept()
            await device.until(waits(device, "2"))
            assert device.worker.served == []

    run(life())


def test_an_accepted_release_is_begun_after_the_power_was_cut(home):
    async def life():
        async with living(home, asks=True) as device:
            await device.until(waits(device, "1"))
            device.link.drop()
            device.update.acceptance.accept()
            await device.until(lambda: device.record.accepted is not None)
            await device.stop_dead()
        async with living(home, asks=True, clean=False) as device:
            await device.commits("1")

    run(life())


def test_the_report_names_the_release_that_waits_when_another_takes_its_place(home):
    async def life():
        async with living(home, asks=True) as device:
            await device.until(lambda: home.reports and home.report.detail == "cats 1")
            home.publish("2")
            home.order(2, stable="2")
            device.update.poke()
            await device.until(lambda: home.report.detail == "cats 2")
            assert home.report.reason is Reason.UNACCEPTED

    run(life())


def test_what_was_accepted_comes_until_it_has_begun(home):
    async def life():
        async with living(home, asks=True) as device:
            await device.until(waits(device, "1"))
            (home.folder / "veto").write_text("a match is on")
            device.update.acceptance.accept()
            assert device.update.acceptance.coming.version == "1"
            await device.until(lambda: home.report.reason is Reason.VETO)
            assert device.update.acceptance.coming.version == "1"
            assert device.update.acceptance.offered is None
            (home.folder / "veto").unlink()
            device.update.poke()
            await device.commits("1")
            assert device.update.acceptance.coming is None

    run(life())


def test_what_was_accepted_comes_no_more_when_another_release_is_offered(home):
    async def life():
        async with living(home, asks=True) as device:
            await device.until(waits(device, "1"))
            (home.folder / "veto").write_text("a match is on")
            device.update.acceptance.accept()
            await device.until(lambda: home.report.reason is Reason.VETO)
            home.publish("2")
            home.order(2, stable="2")
            (home.folder / "veto").unlink()
            device.update.poke()
            await device.until(waits(device, "2"))
            assert device.update.acceptance.coming is None

    run(life())


def test_nothing_is_offered_while_what_was_signed_has_expired(home):
    async def life():
        async with living(home, asks=True) as device:
            await device.until(waits(device, "1"))
            home.scripted.refresh_fault = Stale("the timestamp has expired")
            device.update.poke()
            await device.until(lambda: home.report.reason is Reason.STALE_METADATA)
            with pytest.raises(Unavailable, match="no release waits"):
                device.update.acceptance.accept()
            home.scripted.refresh_fault = None
            device.update.poke()
            await device.until(waits(device, "1"))
            device.update.acceptance.accept()
            await device.commits("1")

    run(life())


def test_what_is_taken_back_goes_back_unasked(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.order(2, stable="1", candidate="2")
            device.update.poke()
            await device.commits("2")
        home.order(3, stable="1", cut={}, urgent=True)
        async with living(home, asks=True) as device:
            await device.commits("1")
            assert device.update.acceptance.offered is None

    run(life())


def test_whoever_stands_at_the_device_accepts_what_he_was_shown(home):
    async def life():
        files = AcceptanceFiles(home.folder)
        async with living(home, asks=True) as device:
            await device.until(waits(device, "1"))
            await device.until(files.offered)
            shown = files.offered()
            home.publish("2")
            home.order(2, stable="2")
            await device.looks_again()
            files.accept(shown)
            await device.until(lambda: not (home.folder / "accepted").exists())
            assert device.runs is None
            files.accept(files.offered())
            await device.commits("2")
            assert files.offered() is None

    run(life())


def test_what_was_said_to_an_agent_that_has_ended_counts_no_more(home):
    async def life():
        files = AcceptanceFiles(home.folder)
        async with living(home, asks=True) as device:
            await device.until(files.offered)
            shown = files.offered()
        assert files.offered() is None
        files.accept(shown)
        async with living(home, asks=True) as device:
            await device.until(waits(device, "1"))
            assert not (home.folder / "accepted").exists()
            assert device.runs is None

    run(life())
