"""While an update is held nothing is begun, and what runs goes on."""

import pytest
from msgspec.structs import replace

from agent.core.update.cohort import NOBODY
from agent.core.update.lifecycle import Idle
from agent.wire.errors import Malformed, Stale, TooLarge, UnknownSchema, Untrusted
from agent.wire.reasons import Reason
from agent.wire.reports import Phase
from tests.scenario.one_device.home import SwiftDisk, manifest
from tests.scenario.one_device.life import living, run
from tests.scenario.update.steps import order_two, running


def fault_of_trust(where, fault):
    def set_it(home, _):
        setattr(home.scripted, where, fault)

    def mend(home, _):
        setattr(home.scripted, where, None)

    return set_it, mend


def plan(**changes):
    def set_it(home, _):
        home.order(2, candidate="2", **changes)

    def mend(home, _):
        home.order(3, stable="1", candidate="2")

    return set_it, mend


def clock_lost(home, _):
    home.clock.set_synchronized(to=False)


def clock_back(home, _):
    home.clock.set_synchronized(to=True)


def no_plan(home, _):
    home.scripted.signed = None


@pytest.mark.parametrize(
    ("cause", "mend", "reason"),
    [
        pytest.param(
            *fault_of_trust("refresh_fault", Stale("timestamp")), Reason.STALE_METADATA, id="expired"
        ),
        pytest.param(*fault_of_trust("refresh_fault", Untrusted("forged")), Reason.UNTRUSTED, id="forged"),
        pytest.param(*fault_of_trust("plan_fault", Malformed("plan")), Reason.UNREADABLE, id="unreadable"),
        pytest.param(*fault_of_trust("plan_fault", TooLarge("plan")), Reason.UNREADABLE, id="too large"),
        pytest.param(*fault_of_trust("plan_fault", UnknownSchema("9")), Reason.UNREADABLE, id="newer schema"),
        pytest.param(*fault_of_trust("manifest_fault", Untrusted("who")), Reason.UNTRUSTED, id="not signed"),
        pytest.param(clock_lost, clock_back, Reason.CLOCK, id="clock"),
        pytest.param(no_plan, order_two, Reason.NO_PLAN, id="no plan"),
        pytest.param(*plan(cut={"*": NOBODY}), Reason.OUTSIDE_CUT, id="outside the cut"),
        pytest.param(*plan(match=("tag=attic",)), Reason.NOT_MATCHED, id="not matched"),
        pytest.param(*plan(minimum_agent="99"), Reason.AGENT_TOO_OLD, id="agent too old"),
    ],
)
def test_while_held_the_reason_is_told_and_predictions_go_on_and_it_ends_with_its_cause(
    home, cause, mend, reason
):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            order_two(home, device)
            cause(home, device)
            await device.looks_again()
            first, seen = home.fitted("1"), len(home.predictions)
            assert (home.report.phase, home.report.reason) == (Phase.HELD, reason)
            assert (home.report.active, device.record.state) == (running(first), Idle(active=first))
            device.worker.frame(home.clock)
            assert [p.version for p in home.predictions[seen:]] == ["1"]
            mend(home, device)
            if reason is not Reason.CLOCK:
                device.update.poke()
            await device.commits("2")
            assert (home.report.phase, home.report.reason, home.report.detail) == (Phase.IDLE, None, "")

    run(life())


@pytest.mark.parametrize("minimum", ["scripted 2.0", "other 1.0", "2.17.0"])
def test_a_release_without_a_variant_for_this_device_is_held(home, minimum):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            base = manifest("2").variants[0]
            why = "FULLY_CONNECTED version 12"
            home.publish("2", variants=(replace(base, minimum_runtime=minimum, runtime_reason=why),))
            home.order(2, candidate="2")
            await device.looks_again()
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.RUNTIME_TOO_OLD)
            assert f"needs runtime {minimum} ({why}); this device has scripted 1.0" in home.report.detail
            assert isinstance(device.record.state, Idle)

    run(life())


class BrokenDisk(SwiftDisk):
    fault: OSError | None = None

    def create(self, path, content):
        if self.fault is not None:
            raise self.fault
        super().create(path, content)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(OSError(28, "full"), Reason.LOW_DISK), (OSError(30, "read-only"), Reason.STORE_FAILED)],
)
def test_a_disk_that_takes_no_record_holds_the_update_and_not_the_predictions(home, fault, reason):
    async def life():
        disk = BrokenDisk()
        async with living(home, store=home.store(disk)) as device:
            await device.commits("1")
            home.publish("2")
            order_two(home, device)
            disk.fault = fault
            device.update.poke()
            await device.until(lambda: home.report.reason is reason)
            assert home.report.phase is Phase.HELD
            seen = len(home.predictions)
            device.worker.frame(home.clock)
            assert [p.version for p in home.predictions[seen:]] == ["1"]
            disk.fault = None
            await device.commits("2")
            await device.until(lambda: home.report.reason is None)

    run(life())


def test_a_read_only_disk_at_a_start_stops_no_committed_model(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
        disk = BrokenDisk()
        store = home.store(disk)
        disk.fault = OSError(30, "read-only")
        async with living(home, store=store) as device:
            await device.until(lambda: device.runs == "1")

    run(life())
