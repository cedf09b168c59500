from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec.structs import replace

from agent.wire.errors import ConfigError
from agent.wire.reports import Phase
from deploy.core.rollouts.words import Outcome
from deploy.simulation import ground, outcome, picture, run, scenario
from deploy.simulation.outcome import Decision, Moment, Ran
from deploy.simulation.scenario import Behaviour, Expect, Fate, Fault, Fleet, Group, Scenario
from deploy.simulation.telling import CANDIDATE, STABLE, Whereabouts
from tests.fakes import rollouts
from tests.fakes.simulated import FREE

SILENT = "silent-deaths"


@pytest.mark.parametrize("name", scenario.shipped())
def test_every_shipped_scenario_can_be_read_and_says_what_it_is(name):
    told = scenario.read(name)
    assert told.name == name
    assert 0 < len(told.words) <= 115, "it stands over the drawing in one line"
    assert told.expect.ends is not None
    assert sum(group.share for group in told.fleet.group) == pytest.approx(1.0)


def test_the_scenarios_that_were_asked_for_are_there():
    assert {
        SILENT, "healthy", "crashes", "refusals", "slow-links", "offline-half", "wrong-clocks",
        "lying-devices", "churn", "broker-killed", "broker-forgets", "late-deaths",
    } <= set(scenario.shipped())  # fmt: skip


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('name = "x"', "words"),
        ('name = "x"\nwords = "y"\nflet = 1', "flet"),
        ('name = "x"\nwords = "y"\n[[candidate.fault]]\nfate = "melts"\nshare = 1', "melts"),
        ("name =", "Invalid"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong_in_it(tmp_path, content, says):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=says):
        scenario.read(str(path))


def test_a_scenario_that_is_not_there_names_those_that_are():
    with pytest.raises(ConfigError, match=SILENT):
        scenario.read("nowhere")


@given(some.lists(some.floats(0.0, 1.0), min_size=1, max_size=5), some.integers(1, 500))
def test_every_device_has_a_group_and_groups_stand_in_order(weights, devices):
    whole = sum(weights) or 1.0
    fleet = Fleet(group=tuple(Group(share=w / whole, tags=(str(n),)) for n, w in enumerate(weights)))
    found = scenario.groups(fleet, devices)
    assert len(found) == devices
    places = [fleet.group.index(group) for group in found]
    assert all(one <= other for one, other in pairwise(places))


def test_a_seed_strikes_the_same_devices_again_and_about_its_share_of_them():
    behaviour = Behaviour(
        fault=(Fault(fate=Fate.HANGS, share=0.2), Fault(fate=Fate.DIES, share=0.1)),
    )
    ids = [f"sim-{number}" for number in range(3000)]
    first = [scenario.struck(behaviour, 1, device) for device in ids]
    assert first == [scenario.struck(behaviour, 1, device) for device in ids]
    assert first != [scenario.struck(behaviour, 2, device) for device in ids]
    assert sum(fault is not None and fault.fate is Fate.HANGS for fault in first) == pytest.approx(
        600, abs=75
    )
    assert sum(fault is not None and fault.fate is Fate.DIES for fault in first) == pytest.approx(300, abs=60)


def where(serves: str, *, exposed: bool, there: bool = True) -> Whereabouts:
    return Whereabouts(device="d", group=0, there=there, serves=serves, exposed=exposed)


BACK, LOST = where(STABLE, exposed=True), where(CANDIDATE, exposed=True)
UNTOUCHED, GONE = where(STABLE, exposed=False), where("", exposed=True, there=False)


@pytest.mark.parametrize(
    ("expect", "ended", "devices", "says"),
    [
        (Expect(ends=Outcome.REVERTED, exposed_max=2), Outcome.REVERTED, [BACK, GONE, UNTOUCHED], ""),
        (
            Expect(ends=Outcome.REVERTED, exposed_max=1),
            Outcome.REVERTED,
            [BACK, GONE],
            "2 devices were exposed",
        ),
        (Expect(ends=Outcome.REVERTED), None, [UNTOUCHED], "ended not at all, reverted was expected"),
        (Expect(ends=Outcome.REVERTED), Outcome.REVERTED, [LOST], "not back on the stable release"),
        (Expect(ends=Outcome.REVERTED, exposed_share_max=0.5), Outcome.REVERTED, [BACK, BACK], "at most 1"),
        (Expect(ends=Outcome.COMPLETED, reached_min_share=1.0), Outcome.COMPLETED, [LOST, GONE], ""),
        (
            Expect(ends=Outcome.COMPLETED, reached_min_share=0.6),
            Outcome.COMPLETED,
            [LOST, UNTOUCHED],
            "1 of 2",
        ),
    ],
)
def test_what_is_not_as_expected_is_said(expect, ended, devices, says):
    told = Scenario(name="x", words="y", expect=expect)
    found = "; ".join(outcome.failures(told, ended, devices))
    assert says in found
    assert bool(found) == bool(says)


def moment(at_s: float, **seen: int) -> Moment:
    return Moment(
        **({"at_s": at_s, "exposed": 0, "on_candidate": 0, "on_stable": 0, "there": 4, "fallen": 0} | seen)
    )


COURSE = (moment(1.0), moment(2.0, on_candidate=2, fallen=1), moment(5.0, on_candidate=1), moment(7.0))


def test_the_times_to_detect_and_to_revert_are_read_off_the_course():
    assert outcome.between(COURSE, lambda seen: seen.fallen > 0, 4.5) == 2.5
    assert outcome.between(COURSE, lambda seen: seen.fallen > 3, 4.5) is None
    assert outcome.after(COURSE, 4.5, lambda seen: seen.on_candidate == 0) == 2.5
    assert outcome.after(COURSE, None, lambda seen: seen.there == 4) is None


def test_deadlines_are_longer_on_a_machine_that_is_slow_and_never_shorter():
    policy = scenario.read("late-deaths").rollout.policy
    assert run.stretch(1.0, 1000) == 1.0
    assert run.stretch(70.0, 1000) == pytest.approx(2.0)
    twice = replace(policy.gate, deadline_s=2 * policy.gate.deadline_s, soak_s=2 * policy.gate.soak_s)
    assert run.stretched(policy, 2.0) == replace(policy, gate=twice)


@pytest.mark.parametrize(
    ("name", "serve", "away"), [("healthy", 100, 0), ("offline-half", 100, 50), ("wrong-clocks", 80, 0)]
)
def test_who_must_serve_and_who_must_be_away_before_a_rollout_begins(name, serve, away):
    told = scenario.read(name)
    assert (run.serving_at_first(told, 100), run.away_at_first(told, 100)) == (serve, away)


@pytest.mark.parametrize(
    ("changes", "proven"),
    [
        ({}, True),
        ({"phase": Phase.PROBATION}, False),
        ({"phase": Phase.TRIAL}, False),
        ({"active": None}, False),
        ({"active": rollouts.running(rollouts.CANDIDATE)}, False),
    ],
)
def test_a_release_is_measured_against_one_that_has_been_committed(changes, proven):
    report = rollouts.report("pi", **changes)
    assert ground.has_proven(report, rollouts.STABLE.manifest) is proven
    assert not ground.has_proven(None, rollouts.STABLE.manifest)


TAKEN_BACK = Ran(
    scenario="x", words="things & <people>", seed=7, devices=4, outcome=Outcome.REVERTED, exposed=2, fallen=1,
    up_s=1.0, stretch=2.0, rollout_s=7.0, detect_s=2.5, revert_s=None, cost=FREE, course=COURSE,
    decisions=(Decision(at_s=6.0, kind="Steered", words="plan 3", label="all taken back"),),
    ends={"stable": 3, "gone (dies)": 1}, failures=("nobody is well",),
)  # fmt: skip


def test_a_run_is_told_with_what_its_numbers_mean():
    told = "\n".join(picture.lines(TAKEN_BACK))
    for says in (
        "x: things & <people>", "4 devices, seed 7, deadlines 2 times as long: reverted after 7.0 s",
        "2 of 4 met the candidate, which harmed 1 of them", "2.5 s from the first harm to the verdict",
        "time to revert   -", "at most 2", "3 stable; 1 gone (dies)", "NOT AS EXPECTED: nobody is well",
    ):  # fmt: skip
        assert says in told
    assert "as the scenario expects" in tuple(picture.lines(replace(TAKEN_BACK, failures=())))[-1]


def test_words_near_the_right_edge_of_the_drawing_stand_before_their_line():
    assert 'text-anchor="end" fill="#777">all taken back<' in picture.svg(TAKEN_BACK)
    early = replace(TAKEN_BACK, decisions=(replace(TAKEN_BACK.decisions[0], at_s=1.0),))
    assert 'text-anchor="start" fill="#777">all taken back<' in picture.svg(early)


def test_a_sparkline_has_its_highest_sign_where_the_most_is():
    assert picture.spark([0, 1, 8]) == " ▁█"
    assert len(picture.spark(list(range(1000)))) == picture.SPARK_WIDTH
    assert picture.spark([]) == ""
