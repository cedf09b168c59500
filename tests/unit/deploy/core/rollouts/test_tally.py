import pytest
from msgspec.structs import replace

from agent.core.update.cohort import NOBODY, OTHERS, exact_cut, fraction_cut
from agent.wire.reasons import Reason
from agent.wire.reports import CameraReport, CameraState
from agent.wire.topics import DeviceId
from deploy.core.rollouts import tally
from deploy.core.rollouts.tally import Standing
from deploy.core.rollouts.words import ClassWithdrawn, GatePolicy, Paused, Resumed
from tests.fakes.rollouts import (
    COMMITTED,
    EDGETPU_VARIANT,
    FETCHING,
    ON_PROBATION,
    ON_TRIAL,
    REFUSED,
    REVERTED,
    SERIAL,
    SUPERSEDED,
    UNREACHED,
    after,
    away,
    dead,
    healthy,
    held,
    order,
    picture,
    plan,
    report,
    rollout,
    seen,
    steered,
)

SOON, LATE = 600.0, 3_600.0
GATE = GatePolicy(deadline_s=1_800.0, absence_s=180.0)
EDGETPU_BAD = {"known_bad": {EDGETPU_VARIANT: Reason.TOO_SLOW}}
NO_CAMERA = {"camera": CameraReport(state=CameraState.LOST)}


def standing(device, at=SOON, of=None):
    return tally.standing(of or rollout(), device, after(at))


def online(at=SOON, **told):
    return seen("pi", report("pi", **told), heard_at=after(at - 1))


@pytest.mark.parametrize(
    ("told", "soon", "late"),
    [
        (COMMITTED, Standing.HEALTHY, Standing.HEALTHY),
        (COMMITTED | held(Reason.CLOCK), Standing.HEALTHY, Standing.HEALTHY),
        (COMMITTED | {"degraded": "no Edge TPU"}, Standing.DEGRADED, Standing.DEGRADED),
        (COMMITTED | EDGETPU_BAD, Standing.DEGRADED, Standing.DEGRADED),
        (COMMITTED | UNREACHED, Standing.PENDING, Standing.SILENT),
        ({}, Standing.PENDING, Standing.SILENT),
        (UNREACHED, Standing.PENDING, Standing.SILENT),
        (FETCHING, Standing.PENDING, Standing.SILENT),
        (ON_TRIAL, Standing.PENDING, Standing.SILENT),
        (ON_PROBATION, Standing.PENDING, Standing.SILENT),
        (ON_PROBATION | NO_CAMERA, Standing.PENDING, Standing.HELD),
        (ON_PROBATION | {"paused": True}, Standing.PENDING, Standing.HELD),
        (REFUSED, Standing.FAILED, Standing.FAILED),
        (REVERTED, Standing.FAILED, Standing.FAILED),
        (REFUSED | held(Reason.KNOWN_BAD), Standing.FAILED, Standing.FAILED),
        (REFUSED | FETCHING, Standing.PENDING, Standing.SILENT),
        (REFUSED | UNREACHED, Standing.PENDING, Standing.SILENT),
        (SUPERSEDED, Standing.PENDING, Standing.SILENT),
        (held(Reason.KNOWN_BAD) | EDGETPU_BAD, Standing.FAILED, Standing.FAILED),
        (held(Reason.NEEDS_EDGETPU), Standing.PENDING, Standing.FAILED),
        (held(Reason.RUNTIME_TOO_OLD), Standing.PENDING, Standing.FAILED),
        (held(Reason.WAITING), Standing.PENDING, Standing.FAILED),
        (held(Reason.WINDOW), Standing.HELD, Standing.HELD),
        (held(Reason.WINDOW) | UNREACHED, Standing.PENDING, Standing.SILENT),
        (held(Reason.VETO), Standing.HELD, Standing.HELD),
        (held(Reason.UNACCEPTED), Standing.HELD, Standing.HELD),
        (held(Reason.PAUSED), Standing.HELD, Standing.HELD),
        (held(Reason.LOW_DISK), Standing.HELD, Standing.HELD),
        (held(Reason.CLOCK) | UNREACHED, Standing.HELD, Standing.HELD),
        (held(Reason.STALE_METADATA) | UNREACHED, Standing.HELD, Standing.HELD),
    ],
)
def test_a_device_stands_by_what_it_told_before_its_deadline_and_after_it(told, soon, late):
    assert standing(online(SOON, **told), SOON) is soon
    assert standing(online(LATE, **told), LATE) is late


@pytest.mark.parametrize(
    ("told", "gone_at", "at", "found"),
    [
        (UNREACHED, None, SOON, Standing.OFFLINE),
        (UNREACHED, -5, SOON, Standing.OFFLINE),
        (UNREACHED, 5, SOON, Standing.PENDING),
        (UNREACHED, 5, LATE, Standing.VANISHED),
        ({}, 5, LATE, Standing.VANISHED),
        (held(Reason.WINDOW), None, LATE, Standing.OFFLINE),
        (FETCHING, 5, SOON, Standing.PENDING),
        (FETCHING, 5, LATE, Standing.AWAY),
        (ON_TRIAL, SOON - 100, SOON, Standing.PENDING),
        (ON_TRIAL, SOON - 200, SOON, Standing.AWAY),
        (ON_PROBATION, SOON - 100, SOON, Standing.PENDING),
        (ON_PROBATION, SOON - 200, SOON, Standing.AWAY),
        (ON_PROBATION, None, SOON, Standing.AWAY),
        (ON_PROBATION, LATE - 100, LATE, Standing.PENDING),
        (COMMITTED, SOON - 100, SOON, Standing.PENDING),
        (COMMITTED, LATE - 100, LATE, Standing.PENDING),
        (COMMITTED, SOON - 200, SOON, Standing.AWAY),
        (REVERTED, 5, SOON, Standing.FAILED),
    ],
)
def test_who_is_gone_is_an_absence_before_it_ran_the_release_and_may_have_died_after_it(
    told, gone_at, at, found
):
    gone = None if gone_at is None else after(gone_at)
    device = seen("pi", report("pi", **told), online=False, gone_at=gone, heard_at=after(1))
    assert standing(device, at) is found


def test_no_absence_is_longer_than_the_deadline():
    of = rollout(deadline_s=20.0)
    device = seen("pi", report("pi", **COMMITTED), online=False, gone_at=after(0))
    assert standing(device, 19, of) is Standing.PENDING
    assert standing(device, 21, of) is Standing.AWAY
    assert [c.standing for c in tally.count(of, picture(device, at=21))] == [Standing.SILENT]


@pytest.mark.parametrize(
    ("told", "unheard_s", "found"),
    [
        (ON_PROBATION, 170, Standing.PENDING),
        (ON_PROBATION, 190, Standing.AWAY),
        (COMMITTED, 1_700, Standing.HEALTHY),
        (COMMITTED, 1_900, Standing.AWAY),
    ],
)
def test_the_word_online_of_a_device_that_tells_nothing_more_is_not_believed_for_ever(told, unheard_s, found):
    of = rollout(deadline_s=100_000.0)
    device = seen("pi", report("pi", **told), heard_at=after(5_000 - unheard_s))
    assert standing(device, 5_000, of) is found


def test_a_device_that_never_reported_is_waited_for_while_it_is_online():
    never = {"report": None, "heard_at": None}
    assert standing(replace(seen("pi"), **never)) is Standing.PENDING
    assert standing(replace(seen("pi"), **never), LATE) is Standing.SILENT
    assert standing(replace(seen("pi"), **never, online=False)) is Standing.OFFLINE


@pytest.mark.parametrize(
    ("policy", "bytes_each", "free_at", "deadline_s"),
    [
        ({}, 4_000_000, None, 1_800),
        ({"spread_s": 600.0}, 4_000_000, None, 2_400),
        ({"spread_s": 600.0, "rate_bytes_s": 10_000.0}, 4_000_000, None, 2_800),
        ({}, 0, 5_000, 6_800),
        ({}, 0, -5_000, 1_800),
    ],
)
def test_a_deadline_leaves_time_for_the_turn_and_the_download_and_counts_from_the_return(
    policy, bytes_each, free_at, deadline_s
):
    of = rollout(order(bytes_each=bytes_each, gate=GATE, **policy), (0, steered(plan())))
    device = seen("pi", free_at=None if free_at is None else after(free_at))
    assert tally.deadline(of, device, of.turns[0]) == after(deadline_s)


def test_a_pause_moves_the_deadline():
    paused = (100, Paused(rollout="birds-2", why="")), (50_000, Resumed(rollout="birds-2", why=""))
    of = rollout(order(gate=GATE), (0, steered(plan())), *paused)
    assert standing(online(51_000, **FETCHING), 51_000, of) is Standing.PENDING
    assert standing(online(52_000, **FETCHING), 52_000, of) is Standing.SILENT


IDS = [DeviceId(f"pi-{n}") for n in range(40)]


def test_only_devices_of_the_waves_so_far_are_counted_and_each_from_its_own_wave():
    first, second = (plan(SERIAL + n, exact_cut("salt", IDS, k)) for n, k in enumerate((1, 10)))
    of = rollout(order("1", "10", gate=GATE), (0, steered(first)), (10_000, steered(second, 1)))
    told = {"plan_serial": SERIAL + 1}
    devices = [seen(each, report(each, **told), heard_at=after(10_050)) for each in IDS]
    counted = tally.count(of, picture(*devices, at=10_060))
    assert len(counted) == 10
    assert [each.standing for each in counted].count(Standing.SILENT) == 1
    assert [each.standing for each in counted].count(Standing.PENDING) == 9


def test_who_saw_an_older_plan_only_was_not_let_in_by_it():
    """It was outside the first wave, and gone before the second."""
    second = plan(SERIAL + 1)
    of = rollout(order("1", "100%"), (0, steered(plan(cut=NOBODY))), (100, steered(second, 1)))
    device = seen("pi", report("pi", **held(Reason.OUTSIDE_CUT)), online=False, gone_at=after(50))
    assert standing(device, SOON, of) is Standing.OFFLINE


def test_a_plan_for_the_same_wave_does_not_begin_it_anew():
    again = plan(SERIAL + 1)
    of = rollout(order(gate=GATE), (0, steered(plan())), (1_700, steered(again)))
    assert standing(online(1_900), 1_900, of) is Standing.SILENT
    assert standing(online(1_900, **COMMITTED), 1_900, of) is Standing.HEALTHY


def test_a_device_is_counted_by_what_is_known_of_it_and_not_by_what_it_says():
    of = rollout(order(match=("tag=line-3",)), (0, steered(plan(match=("tag=line-3",)))))
    inside = seen("a", report("a", **held(Reason.NOT_MATCHED)), tags=("line-3",))
    outside = seen("b", report("b", **COMMITTED), tags=("line-4",))
    assert [each.seen.id for each in tally.count(of, picture(inside, outside))] == ["a"]
    assert standing(outside, SOON, of) is None


def test_a_class_that_was_taken_back_is_counted_no_more():
    gone = plan(SERIAL + 1, {OTHERS: fraction_cut(0.5), "edgetpu": NOBODY})
    withdrawn = (50, ClassWithdrawn(rollout="birds-2", hardware="edgetpu", why=""))
    of = rollout(order(), (0, steered(plan())), withdrawn, (50, steered(gone)))
    assert standing(healthy("pi", hardware="edgetpu"), SOON, of) is None


def test_a_rollout_that_was_taken_back_counts_nobody():
    back = plan(SERIAL + 1, {}, candidate=None)
    of = rollout(order(), (0, steered(plan())), (50, steered(back, -1)))
    assert tally.count(of, picture(healthy("a"), dead("b"))) == ()


def test_strangers_are_counted_only_where_there_is_nobody_else():
    strange = [healthy(f"x{n}", known=False) for n in range(3)]
    assert [c.seen.id for c in tally.count(rollout(), picture(*strange, healthy("a")))] == ["a"]
    assert tally.strangers(rollout(), picture(*strange, healthy("a"))) == 3
    assert len(tally.count(rollout(), picture(*strange))) == 3
    assert tally.strangers(rollout(), picture(*strange)) == 0


def test_every_device_is_in_exactly_one_list_of_the_tally():
    devices = [healthy("a"), dead("b"), away("c"), seen("d"), healthy("e")]
    found = tally.tally(tally.count(rollout(), picture(*devices, at=SOON)))
    assert (found.healthy, found.away, found.offline, found.pending) == (("a", "e"), ("b",), ("c",), ("d",))
    assert (found.failed, found.held, found.vanished, found.degraded) == ((), (), (), ())


@pytest.mark.parametrize(
    ("before", "now", "freed"),
    [
        (held(Reason.WINDOW), FETCHING, True),
        (held(Reason.CLOCK), {}, True),
        (held(Reason.WINDOW), held(Reason.VETO), False),
        (held(Reason.WAITING), FETCHING, False),
        (held(Reason.NEEDS_EDGETPU), FETCHING, False),
        ({}, FETCHING, False),
    ],
)
def test_a_deadline_counts_anew_when_a_hold_ends_that_was_none_of_the_releases_making(before, now, freed):
    assert tally.is_freed(report("pi", **before), report("pi", **now)) is freed


def test_a_first_report_frees_nobody():
    assert not tally.is_freed(None, report("pi"))
