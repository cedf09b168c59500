"""When a device looks at its plan, and how often."""

import asyncio

from agent.wire.reasons import Reason
from agent.wire.reports import Phase
from tests.fakes.link import MemoryLink
from tests.fakes.operator import Operator
from tests.scenario.one_device.home import ROOT, Home
from tests.scenario.one_device.life import living, run
from tests.scenario.update.steps import order_two, trusting


def test_many_pokes_are_one_look(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            before = home.scripted.refreshes
            for _ in range(1000):
                device.update.poke()
            await device.quiet()
            assert home.scripted.refreshes == before + 1

    run(life())


def test_pokes_while_it_looks_make_it_look_once_more(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            before = home.scripted.refreshes
            home.scripted.open.clear()
            device.update.poke()
            await device.until(lambda: home.scripted.refreshes == before + 1)
            for _ in range(1000):
                device.update.poke()
            home.scripted.open.set()
            await device.quiet()
            assert home.scripted.refreshes == before + 2

    run(life())


def test_its_own_reading_of_the_index_makes_no_endless_loop(tmp_path):
    home = Home(tmp_path / "device")
    operator = Operator(tmp_path / "operator", home.clock)
    home.broker = operator.broker
    link = MemoryLink(operator.broker)
    home.trust = trust = trusting(operator, link, tmp_path / "device" / "trust")
    home.publish("11")
    operator.repository.add_release(home.manifests["11"])
    operator.repository.set_plan(home.order(2, stable="11"))
    operator.publish()

    async def life():
        async with living(home, link=link) as device:
            loop = asyncio.get_running_loop()
            trust.watch(lambda: loop.call_soon_threadsafe(device.update.poke))
            await device.commits("11")
            looks = operator.broker.subscribed[ROOT.meta("timestamp")]
            assert looks <= 2
            operator.repository.sign_timestamp()
            operator.publish()
            await device.until(lambda: operator.broker.subscribed[ROOT.meta("timestamp")] == looks + 1)
            await device.quiet()
            await asyncio.sleep(0.02)
            assert operator.broker.subscribed[ROOT.meta("timestamp")] == looks + 1

    run(life())


def test_while_the_link_is_down_nobody_looks_and_once_it_is_back_one_look_is_enough(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            before = home.scripted.refreshes
            device.link.drop()
            await device.until(lambda: not device.connection.is_up)
            home.publish("2")
            order_two(home, device)
            await device.looks_again()
            assert home.scripted.refreshes == before
            device.link.restore()
            await device.commits("2")
            assert home.scripted.refreshes == before + 1

    run(life())


def test_the_plan_is_read_again_after_a_while_without_being_told(home):
    async def life():
        async with living(home, recheck_s=0.02) as device:
            await device.commits("1")
            home.publish("2")
            order_two(home, device)
            await device.commits("2")

    run(life())


def test_a_device_waits_for_its_turn_in_the_spread(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.order(2, stable="1", candidate="2", spread_s=0.2)
            await device.looks_again()
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.WAITING)
            await device.commits("2")
            assert home.report.reason is None

    run(life())
