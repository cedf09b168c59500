"""What a device may begin, and when: windows, vetoes, pauses; and that nothing keeps it from going back."""

from datetime import UTC, datetime

from agent.core.update import windows
from agent.loops.release import update
from agent.wire.reasons import Reason
from tests.scenario.one_device.life import living, run

BEFORE_TWO = datetime(2026, 6, 2, 1, 59, 59, 900_000, tzinfo=UTC)
NIGHT = (windows.parse("daily 02:00-05:00"),)
NEVER_NOW = (windows.parse("daily 14:00-15:00"),)


def held(home, reason):
    return lambda: home.report.reason is reason


def test_a_device_begins_when_its_window_opens_without_another_word(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
        home.clock.set(BEFORE_TWO)
        home.publish("2")
        home.order(2, stable="1", candidate="2")
        async with living(home, windows=NIGHT) as device:
            await device.until(held(home, Reason.WINDOW))
            assert home.report.detail == "the next one opens at 2026-06-02 02:00 UTC"
            assert (device.runs, home.report.plan_serial) == ("1", 2)
            home.clock.advance(0.2)
            await device.commits("2")

    run(life())


def test_a_window_that_closes_does_not_stop_what_has_begun(home):
    async def life():
        async with living(home, windows=NIGHT) as device:
            home.clock.set(BEFORE_TWO.replace(hour=4))
            await device.looks_again()
            await device.until(lambda: device.runs == "1")
            home.clock.set(BEFORE_TWO.replace(hour=6))
            await device.looks_again()
            await device.commits("1")

    run(life())


def test_a_device_begins_when_the_veto_on_it_is_gone(home, monkeypatch):
    monkeypatch.setattr(update, "VETO_POLL_S", 0.005)

    async def life():
        async with living(home) as device:
            await device.commits("1")
            (home.folder / "veto").write_text("an exam until four\n")
            home.publish("2")
            home.order(2, stable="1", candidate="2", urgent=True)
            device.update.poke()
            await device.until(held(home, Reason.VETO))
            assert home.report.detail == "an exam until four"
            (home.folder / "veto").unlink()
            await device.commits("2")

    run(life())


def test_a_paused_rollout_is_begun_by_nobody_and_then_goes_on(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.order(2, stable="1", candidate="2", paused=True, rollout="cats-2")
            device.update.poke()
            await device.until(held(home, Reason.PAUSED))
            assert (home.report.detail, device.runs) == ("rollout cats-2", "1")
            home.order(3, stable="1", candidate="2", rollout="cats-2")
            device.update.poke()
            await device.commits("2")
            home.order(4, stable="1", candidate="2", paused=True, rollout="cats-2")
            await device.looks_again()
            assert device.record.state.active == home.fitted("2")

    run(life())


def test_nothing_keeps_a_device_from_going_back(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.order(2, stable="1", candidate="2")
            device.update.poke()
            await device.commits("2")
        (home.folder / "veto").write_text("an exam\n")
        home.order(3, stable="1", cut={}, urgent=True)
        async with living(home, windows=NEVER_NOW) as device:
            await device.commits("1")

    run(life())
