import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.update.cohort import exact_cut
from agent.wire.reasons import Reason
from deploy.core.rollouts import gate
from deploy.core.rollouts.condensed import condense, expand
from deploy.core.rollouts.words import Paused, Verdict
from tests.fakes.rollouts import (
    CANDIDATE,
    COMMITTED,
    ON_PROBATION,
    STABLE,
    after,
    away,
    dead,
    evidence,
    failed,
    healthy,
    held,
    order,
    pending,
    picture,
    plan,
    report,
    rollout,
    seen,
    shows,
    steered,
)

PROMOTE, HOLD, ABORT = Verdict.PROMOTE, Verdict.HOLD, Verdict.ABORT
SOON, LATE = 600.0, 3_600.0


def vanished(name):
    return away(name, gone_at=after(5))


def degraded(name):
    return seen(name, report(name, **COMMITTED, degraded="no Edge TPU"))


def waits(name):
    return seen(name, report(name, **held(Reason.WINDOW)))


def fleet(**counts):
    makes = {
        "healthy": healthy, "failed": failed, "pending": pending, "dead": dead, "offline": away,
        "vanished": vanished, "degraded": degraded, "held": waits,
    }  # fmt: skip
    return [makes[kind](f"{kind}-{n:04}") for kind, count in counts.items() for n in range(count)]


def judged(devices, at=SOON, **policy):
    return gate.judge(rollout(**policy), picture(*devices, at=at))


def holding(judgement):
    return {finding.name for finding in judgement.findings if finding.says is HOLD}


@pytest.mark.parametrize(
    ("counts", "verdict", "holds"),
    [
        ({"healthy": 1}, PROMOTE, set()),
        ({"failed": 1}, ABORT, set()),
        ({"dead": 1}, HOLD, {"away"}),
        ({"pending": 1}, HOLD, {"pending"}),
        ({"offline": 1}, HOLD, {"judged"}),
        ({"held": 1}, HOLD, {"judged"}),
        ({"healthy": 48, "failed": 1}, ABORT, set()),
        ({"healthy": 49, "failed": 1}, PROMOTE, set()),
        ({"healthy": 50, "failed": 2}, ABORT, set()),
        ({"pending": 50, "failed": 2}, ABORT, {"pending"}),
        ({"pending": 50, "dead": 1}, HOLD, {"pending"}),
        ({"healthy": 49, "dead": 2}, HOLD, {"away"}),
        ({"healthy": 9, "dead": 3}, HOLD, {"away"}),
        ({"healthy": 9, "dead": 5}, ABORT, set()),
        ({"healthy": 49, "dead": 1}, PROMOTE, set()),
        ({"healthy": 99, "pending": 1}, HOLD, {"pending"}),
        ({"healthy": 980, "offline": 20}, PROMOTE, set()),
        ({"healthy": 800, "offline": 200}, PROMOTE, set()),
        ({"healthy": 799, "offline": 201}, HOLD, {"judged"}),
        ({"healthy": 799, "held": 201}, HOLD, {"judged"}),
        ({"healthy": 80, "degraded": 20}, PROMOTE, set()),
        ({"healthy": 79, "degraded": 21}, HOLD, {"degraded"}),
        ({"failed": 10, "offline": 990}, ABORT, {"judged"}),
        ({}, HOLD, {"wave"}),
    ],
)
def test_the_verdict_follows_from_who_is_where(counts, verdict, holds):
    judgement = judged(fleet(**counts))
    assert judgement.verdict is verdict
    assert holding(judgement) == holds
    assert judgement.words


@pytest.mark.parametrize(
    ("counts", "at", "verdict", "holds"),
    [
        ({"healthy": 95, "vanished": 5}, SOON, HOLD, {"pending"}),
        ({"healthy": 95, "vanished": 5}, LATE, PROMOTE, set()),
        ({"healthy": 94, "vanished": 6}, LATE, HOLD, {"vanished"}),
        ({"healthy": 48, "pending": 1}, LATE, ABORT, set()),
        ({"healthy": 49, "pending": 1}, LATE, PROMOTE, set()),
        ({"healthy": 3, "held": 1}, LATE, HOLD, {"judged"}),
    ],
)
def test_a_deadline_turns_the_unknown_into_failures_but_not_what_nobody_can_know(counts, at, verdict, holds):
    devices = [replace(each, heard_at=after(at - 1)) for each in fleet(**counts)]
    judgement = judged(devices, at)
    assert (judgement.verdict, holding(judgement)) == (verdict, holds)


def test_words_name_numbers_limits_and_devices():
    judgement = judged(fleet(healthy=50, dead=17))
    assert judgement.words == (
        "17 of 67 devices failed, 17 of them silently (dead-0000, dead-0001, dead-0002, dead-0003, dead-0004 "
        "and 12 more), at most 1 may (2.0%)"
    )
    assert judged(fleet(healthy=1, pending=1), SOON).words == (
        "1 of 2 devices still on their way (pending-0000): the last of them has until 09:30:00 "
        "UTC, 0:20:00 from now"
    )


def test_a_promotion_is_said_in_one_sentence_however_much_was_looked_at():
    assert judged([shows(f"pi-{n}") for n in range(50)]).words == (
        "50 of 50 devices are well, and none of 8 findings objects"
    )


def test_a_shard_that_is_missing_holds_and_is_named():
    whole = picture(*fleet(healthy=100), at=SOON)
    assert gate.judge(rollout(), whole).verdict is PROMOTE
    judgement = gate.judge(rollout(), replace(whole, missing=("shard 7: not read to its end",)))
    assert judgement.verdict is HOLD
    assert judgement.words == "the picture of the fleet is incomplete: shard 7: not read to its end"


def test_a_missing_shard_does_not_abort_either_by_making_the_rest_look_few():
    """Two of a hundred may fail; with forty of them unread it must not look like two of sixty."""
    devices = [*fleet(healthy=58, failed=2, offline=40)]
    partial = replace(picture(*devices, at=SOON), missing=("shard 7",))
    assert gate.judge(rollout(), partial).verdict is HOLD
    assert gate.judge(rollout(), picture(*devices, at=SOON)).verdict is ABORT
    many = [*fleet(healthy=57, failed=3, offline=40)]
    assert gate.judge(rollout(), replace(picture(*many, at=SOON), missing=("shard 7",))).verdict is ABORT


def test_before_its_first_wave_it_holds():
    assert gate.judge(rollout(order(), (0, Paused(rollout="birds-2", why=""))), picture()).verdict is HOLD


def test_a_paused_rollout_is_not_promoted_but_may_be_taken_back():
    paused = rollout(order(), (0, steered(plan())), (10, Paused(rollout="birds-2", why="lunch")))
    assert gate.judge(paused, picture(*fleet(healthy=9))).verdict is HOLD
    assert gate.judge(paused, picture(*fleet(failed=9))).verdict is ABORT


def test_a_wave_is_looked_at_for_as_long_as_the_policy_says():
    assert holding(judged(fleet(healthy=5), at=299.0, soak_s=300.0)) == {"soak"}
    assert judged(fleet(healthy=5), at=300.0, soak_s=300.0).verdict is PROMOTE


def test_a_wave_that_begins_in_the_future_of_this_clock_is_held_and_the_clock_is_named():
    (held,) = (each for each in judged(fleet(healthy=5), at=-60.0).findings if each.name == "soak")
    assert (
        held.words
        == "the wave is looked at for 0 s, and began 60 s later than this clock shows: set the clock"
    )


@pytest.mark.parametrize(("failures", "verdict"), [(3, PROMOTE), (4, ABORT)])
def test_so_many_failures_are_forgiven_as_the_policy_says(failures, verdict):
    assert judged(fleet(healthy=10, failed=failures), failed_max=3).verdict is verdict


def classed(hardware, **counts):
    return [replace(each, id=f"{hardware}-{each.id}", hardware=hardware) for each in fleet(**counts)]


@pytest.mark.parametrize(
    ("cpu", "edgetpu", "verdict", "classes"),
    [
        ({"healthy": 50}, {"failed": 5}, ABORT, ("edgetpu",)),
        ({"pending": 50}, {"failed": 5}, ABORT, ("edgetpu",)),
        ({"healthy": 40, "failed": 4}, {"failed": 5}, ABORT, ()),
        ({"failed": 20}, {"failed": 5}, ABORT, ()),
        ({"offline": 50}, {"failed": 5}, ABORT, ()),
        ({"healthy": 500}, {"healthy": 20, "failed": 2}, PROMOTE, ()),
        ({"healthy": 500}, {"healthy": 20, "failed": 3}, ABORT, ("edgetpu",)),
        ({"healthy": 96, "failed": 4}, {"healthy": 96, "failed": 4}, ABORT, ()),
    ],
)
def test_a_hardware_class_that_fails_alone_is_taken_back_alone(cpu, edgetpu, verdict, classes):
    judgement = judged([*classed("cpu", **cpu), *classed("edgetpu", **edgetpu)])
    assert (judgement.verdict, judgement.classes) == (verdict, classes)


def test_a_class_whose_devices_are_slower_is_taken_back_alone():
    slow = evidence(CANDIDATE, invoke_ms=18.0)
    tpu = [shows(f"tpu-{n}", now=slow, hardware="edgetpu") for n in range(5)]
    judgement = judged([*(shows(f"cpu-{n}") for n in range(5)), *tpu])
    assert (judgement.verdict, judgement.classes) == (ABORT, ("edgetpu",))
    assert "p95 of invoke is 1.79 times" in judgement.words


def test_devices_that_nobody_counted_decide_nothing_and_are_told():
    strangers = [replace(each, known=False) for each in fleet(failed=50)]
    judgement = judged([*strangers, healthy("a")])
    assert judgement.verdict is PROMOTE
    assert next(f for f in judgement.findings if f.name == "strangers").value == 50.0


STATES = ("healthy", "failed", "pending", "dead", "offline", "vanished", "degraded", "held")
COUNTS = st.fixed_dictionaries({state: st.integers(0, 30) for state in STATES})
SEVERITY = {PROMOTE: 0, HOLD: 1, ABORT: 2}


@given(COUNTS, st.sampled_from(["healthy", "pending", "degraded"]), st.sampled_from(["failed", "dead"]))
@settings(max_examples=60, deadline=None)
def test_one_more_failure_never_makes_a_verdict_milder(counts, was, becomes):
    """The same device, failed instead of well."""
    before = judged(fleet(**counts | {was: counts[was] + 1}))
    now = judged(fleet(**counts | {becomes: counts[becomes] + 1}))
    if before.verdict is ABORT or now.verdict is PROMOTE:
        assert SEVERITY[now.verdict] >= SEVERITY[before.verdict]
    assert not (before.verdict is ABORT and now.verdict is not ABORT)


@given(COUNTS, st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_devices_changes_nothing(counts, seed):
    devices = fleet(**counts)
    shuffled = random.Random(seed).sample(devices, len(devices))
    ordered = picture(*devices, at=SOON)
    judgement = gate.judge(rollout(), ordered)
    mixed = gate.judge(rollout(), replace(ordered, devices=tuple(shuffled)))
    assert mixed == judgement


@given(COUNTS, st.sampled_from([SOON, LATE]))
@settings(max_examples=40, deadline=None)
def test_an_incomplete_picture_never_promotes(counts, at):
    partial = replace(picture(*fleet(**counts), at=at), missing=("shard 3",))
    assert gate.judge(rollout(), partial).verdict is not PROMOTE


def of_a_kind(rng, n):
    """Any device at all."""
    name = f"pi-{n:03}"
    now = evidence(
        CANDIDATE,
        invoke_ms=rng.uniform(5.0, 30.0),
        score=rng.random(),
        errors=rng.choice([0, 0, 40]),
        restarts=rng.choice([0, 0, 5]),
        shadow_frames=20,
        agreed_frames=rng.randrange(21),
        soc_c_max=rng.choice([None, rng.uniform(40.0, 85.0)]),
    )
    told = rng.choice([COMMITTED, ON_PROBATION, COMMITTED | {"degraded": "no Edge TPU"}, held(Reason.CLOCK)])
    known_bad = {CANDIDATE.manifest: Reason.TOO_SLOW} if rng.random() < 0.1 else {}
    device = seen(name, report(name, **told, serving=now, before=evidence(STABLE), known_bad=known_bad))
    if rng.random() < 0.3:
        device = rng.choice([healthy, failed, pending, dead, away, vanished])(name)
    if rng.random() < 0.1:
        device = replace(device, report=None)
    return replace(device, hardware=rng.choice(["cpu", "edgetpu"]), known=rng.random() < 0.9, tags=("attic",))


@given(st.integers(0, 2**32), st.integers(0, 40), st.sampled_from([SOON, LATE]))
@settings(max_examples=60, deadline=None)
def test_a_condensed_picture_is_judged_the_very_same(seed, count, at):
    rng = random.Random(seed)
    devices = [of_a_kind(rng, n) for n in range(count)]
    cut = exact_cut("salt", [each.id for each in devices], rng.randrange(count + 1))
    of = rollout(order("50%"), (0, steered(plan(cut=cut))))
    whole = picture(*devices, at=at)
    content = condense(whole, of)
    assert gate.judge(of, expand(content)) == gate.judge(of, whole)
    assert condense(expand(content), of) == content
    assert gate.judge(of, whole) == gate.judge(of, whole)


def test_a_condensed_picture_of_a_large_fleet_is_small():
    devices = [shows(f"pi-{n:05}") for n in range(1_000)]
    whole = picture(*devices)
    assert len(condense(whole, rollout())) / len(devices) < 700
    cut = exact_cut("salt", [each.id for each in devices], 10)
    assert len(condense(whole, rollout(order(), (0, steered(plan(cut=cut)))))) / len(devices) < 60
