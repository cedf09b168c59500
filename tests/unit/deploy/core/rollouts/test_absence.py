"""Devices that go away in the middle of a rollout: of the release, of their own will, or with the house."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.update.cohort import OTHERS, exact_cut
from agent.wire import codec, topics
from agent.wire.reports import Presence, Status
from agent.wire.topics import DeviceId
from deploy.core.rollouts import absence, gate, tally
from deploy.core.rollouts.absence import Share
from deploy.core.rollouts.believing import Believer
from deploy.core.rollouts.condensed import condense, expand
from deploy.core.rollouts.tally import Standing
from deploy.core.rollouts.words import GatePolicy, Verdict
from tests.fakes.rollouts import (
    COMMITTED,
    FETCHING,
    ON_PROBATION,
    ON_TRIAL,
    UNREACHED,
    after,
    order,
    picture,
    plan,
    report,
    rollout,
    seen,
    steered,
)

ONLINE, GONE = Presence.ONLINE, Presence.OFFLINE
SOON, NIGHT, MORNING = 600.0, 5_000.0, 40_000.0
GATE = GatePolicy(deadline_s=1_800.0, absence_s=180.0)


def fleet(runs, others, *, gone=0, others_gone=0, gone_s=400.0, told=COMMITTED, at=NIGHT, **changes):
    """So many devices of each kind, the first of them gone for so long."""

    def one(name, said, *, away):
        if not away:
            return seen(name, report(name, **said), heard_at=after(at - 1))
        when = after(at - gone_s)
        return seen(name, report(name, **said), online=False, gone_at=when, heard_at=when, **changes)

    every = [one(name, told, away=n < gone) for n, name in enumerate(inside(runs, runs + others))]
    outside = sorted(set(ids(runs + others)) - set(inside(runs, runs + others)))
    every += [one(name, UNREACHED, away=n < others_gone) for n, name in enumerate(outside)]
    return picture(*every, at=at)


def ids(count):
    return [DeviceId(f"pi-{n:03}") for n in range(count)]


def inside(k, of):
    return sorted(ids(of), key=lambda each: tally.position("salt", each))[:k]


def going(k, of):
    cut = {OTHERS: exact_cut("salt", ids(of), k)}
    return rollout(order(str(k), "100%", gate=GATE), (0, steered(plan(cut=cut))))


def judged(k, others, **changes):
    return gate.judge(going(k, k + others), fleet(k, others, **changes))


def holding(judgement):
    return {finding.name for finding in judgement.findings if finding.says is Verdict.HOLD}


@pytest.mark.parametrize(
    ("runs", "others", "happened", "verdict", "holds"),
    [
        # A release that kills, and a fleet around it that is well.
        (1, 999, {"gone": 1}, Verdict.ABORT, set()),
        (50, 950, {"gone": 15}, Verdict.ABORT, set()),
        (50, 950, {"gone": 15, "others_gone": 20}, Verdict.ABORT, set()),
        (1, 19, {"gone": 1, "gone_s": 1_900.0}, Verdict.ABORT, set()),
        (1, 2, {"gone": 1, "gone_s": 1_900.0}, Verdict.ABORT, set()),
        (20, 0, {"gone": 6, "gone_s": 1_900.0}, Verdict.ABORT, set()),
        # One that lost its network, maybe.
        (1, 19, {"gone": 1}, Verdict.HOLD, {"away"}),
        (1, 999, {"gone": 1, "others_gone": 20}, Verdict.HOLD, {"away"}),
        (200, 0, {"gone": 3}, Verdict.PROMOTE, set()),
        (200, 0, {"gone": 5}, Verdict.HOLD, {"away"}),
        # The house.
        (10, 190, {"gone": 10, "others_gone": 180}, Verdict.HOLD, {"away"}),
        (10, 190, {"gone": 10, "others_gone": 180, "gone_s": 4_000.0}, Verdict.HOLD, {"away"}),
        (1, 2, {"gone": 1, "others_gone": 2, "gone_s": 4_000.0}, Verdict.HOLD, {"away"}),
        (10, 190, {"gone": 10, "others_gone": 40, "gone_s": 4_000.0}, Verdict.ABORT, set()),
        # Switched off, with a goodbye.
        (20, 0, {"gone": 20, "gone_s": 4_000.0, "left": True}, Verdict.HOLD, {"judged"}),
        (20, 0, {"gone": 2, "gone_s": 4_000.0, "left": True}, Verdict.PROMOTE, set()),
        (20, 0, {"gone": 2, "gone_s": 4_000.0, "left": True, "told": ON_TRIAL}, Verdict.ABORT, set()),
    ],
)
def test_who_goes_away_is_judged_by_the_fleet_around_it(runs, others, happened, verdict, holds):
    judgement = judged(runs, others, **happened)
    assert judgement.verdict is verdict, judgement.words
    if verdict is not Verdict.ABORT:
        assert holding(judgement) == holds
        assert "away" not in holds or "that do not run it" in judgement.words


@pytest.mark.parametrize(
    ("told", "soon", "late"),
    [
        (COMMITTED, Standing.OFFLINE, Standing.OFFLINE),
        (ON_PROBATION, Standing.PENDING, Standing.VANISHED),
        (ON_TRIAL, Standing.PENDING, Standing.VANISHED),
        (FETCHING, Standing.PENDING, Standing.VANISHED),
        (UNREACHED, Standing.PENDING, Standing.VANISHED),
    ],
)
def test_a_goodbye_is_no_death(told, soon, late):
    device = seen("pi", report("pi", **told), online=False, gone_at=after(300), left=True)
    assert tally.standing(rollout(deadline_s=1_800.0), device, after(SOON)) is soon
    assert tally.standing(rollout(deadline_s=1_800.0), device, after(NIGHT)) is late


def test_a_fleet_that_was_switched_off_goes_on_where_it_was_in_the_morning():
    of = going(10, 200)
    at_night = fleet(10, 190, gone=10, others_gone=190, told=ON_PROBATION)
    assert gate.judge(of, at_night).verdict is Verdict.HOLD
    much_later = replace(at_night, at=after(MORNING))
    assert gate.judge(of, much_later).verdict is Verdict.HOLD
    back = [
        replace(each, online=True, gone_at=None, free_at=after(MORNING - 60), heard_at=after(MORNING - 30))
        for each in at_night.devices
    ]
    assert holding(gate.judge(of, replace(much_later, devices=tuple(back)))) == {"pending"}


@pytest.mark.parametrize("told", [COMMITTED, ON_PROBATION, FETCHING, UNREACHED])
def test_after_a_break_in_what_could_be_heard_nobody_is_late_or_away(told):
    of = going(20, 100)
    silent = fleet(20, 80, gone=20, gone_s=7_000.0, told=told, at=10_000.0)
    asleep = fleet(20, 80, told=told, at=10_000.0)
    for each in (silent, replace(asleep, at=after(20_000))):
        heard = replace(each, since=each.at)
        assert gate.judge(of, heard).verdict in {Verdict.HOLD, Verdict.PROMOTE}
        assert not gate.judge(of, heard).tally.silent


@given(
    st.integers(1, 60), st.integers(0, 60), st.integers(0, 60), st.floats(200.0, 4_000.0), st.booleans(),
    st.sampled_from([COMMITTED, ON_PROBATION, ON_TRIAL, FETCHING]),
)  # fmt: skip
def test_what_went_away_is_judged_again_as_it_was_judged(runs, gone, others_gone, gone_s, left, told):
    of, seen_then = going(runs, 80), fleet(
        runs, 80 - runs, gone=gone, others_gone=others_gone, gone_s=gone_s, told=told, left=left
    )  # fmt: skip
    seen_then = replace(seen_then, since=after(NIGHT - 300))
    assert gate.judge(of, expand(condense(seen_then, of))) == gate.judge(of, seen_then)


@given(st.integers(1, 500), st.integers(0, 500), st.integers(20, 2_000))
def test_more_of_the_others_away_never_makes_it_the_release(running, gone, others):
    share = Share(min(gone, running), running)
    found = [absence.beyond_chance(share, Share(n, others), 0.05) for n in range(0, others, 50)]
    assert found == sorted(found, reverse=True)


@given(st.integers(1, 300), st.integers(20, 2_000), st.integers(0, 2_000))
def test_where_nobody_is_away_nobody_died(running, others, gone):
    assert not absence.beyond_chance(Share(0, running), Share(min(gone, others), others), 0.05)


@pytest.mark.parametrize(("heard_before", "free_at"), [(True, None), (False, after(0))])
def test_who_joins_late_has_its_deadline_from_its_coming(heard_before, free_at):
    root, device = topics.root("shoal/test"), DeviceId("pi")
    believer = Believer(root, lambda _: None, marks={device: (1, 1)} if heard_before else {})
    status = Status(state=Presence.ONLINE, session="s")
    believer.take(root.device(topics.STATUS, device), codec.encode(status), after(0))
    assert believer.picture(after(0)).devices[0].free_at == free_at


def test_a_will_that_comes_after_a_goodbye_does_not_undo_it():
    root, device = topics.root("shoal/test"), DeviceId("pi")
    believer = Believer(root, lambda _: None)
    left = []
    for state, goodbye in ((ONLINE, False), (GONE, True), (GONE, False), (ONLINE, False), (GONE, False)):
        status = Status(state=state, session="s", goodbye=goodbye)
        believer.take(root.device(topics.STATUS, device), codec.encode(status), after(0))
        left.append(believer.picture(after(0)).devices[0].left)
    assert left == [False, True, True, False, False]
