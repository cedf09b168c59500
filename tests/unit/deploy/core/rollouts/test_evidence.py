import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.telemetry.latency import merge, quantile
from deploy.core.rollouts import evidence as gathered
from deploy.core.rollouts import gate, tally
from deploy.core.rollouts.evidence import Measured, Pair
from deploy.core.rollouts.words import GatePolicy, Judgement, Verdict
from tests.fakes.rollouts import (
    CANDIDATE,
    COMMITTED,
    ON_PROBATION,
    STABLE,
    VARIANT,
    confidence,
    evidence,
    failed,
    histogram,
    picture,
    report,
    rollout,
    seen,
    shows,
)

POLICY = GatePolicy()
PROMOTE, HOLD, ABORT = Verdict.PROMOTE, Verdict.HOLD, Verdict.ABORT


def fleet(count, before=None, **now):
    return [shows(f"pi-{n:03}", evidence(CANDIDATE, **now), before) for n in range(count)]


def judged(devices, **policy):
    return gate.judge(rollout(**policy), picture(*devices))


def says(devices, **policy):
    """What each figure alone would decide."""
    found = judged(devices, **policy).findings
    return {each.name: each.says for each in found if each.name in FIGURES}


FIGURES = {"latency", "errors", "confidence", "classes", "agreement", "restarts", "heat"}


@pytest.mark.parametrize(
    ("now", "figure", "few", "many"),
    [
        ({"invoke_ms": 14.0}, "latency", PROMOTE, PROMOTE),
        ({"invoke_ms": 16.0}, "latency", ABORT, ABORT),
        ({"errors": 1}, "errors", PROMOTE, PROMOTE),
        ({"errors": 2}, "errors", HOLD, ABORT),
        ({"errors": 4}, "errors", ABORT, ABORT),
        ({"score": 0.81}, "confidence", PROMOTE, PROMOTE),
        ({"score": 0.70}, "confidence", HOLD, ABORT),
        ({"score": 0.99}, "confidence", PROMOTE, PROMOTE),
        ({"classes": {"wren": 70, "robin": 30}}, "classes", PROMOTE, PROMOTE),
        ({"classes": {"wren": 99, "robin": 1}}, "classes", HOLD, ABORT),
        ({"shadow_frames": 100, "agreed_frames": 60}, "agreement", PROMOTE, PROMOTE),
        ({"shadow_frames": 100, "agreed_frames": 59}, "agreement", ABORT, ABORT),
        ({"restarts": 1}, "restarts", ABORT, ABORT),
        ({"soc_c_max": 67.0}, "heat", PROMOTE, PROMOTE),
        ({"soc_c_max": 69.0}, "heat", HOLD, ABORT),
    ],
)
def test_every_figure_is_held_against_its_limit_on_two_devices_and_on_twenty(now, figure, few, many):
    """What a changed scene could explain is no proof where two devices show it."""
    assert says(fleet(2, **now))[figure] is few
    assert says(fleet(20, **now))[figure] is many
    assert all(each is PROMOTE for name, each in says(fleet(20, **now)).items() if name != figure)


def test_words_say_the_value_the_devices_and_the_limit():
    assert judged(fleet(3, errors=5)).words == (
        "0.050 more of the frames fail than under the release before (3 cpu devices), at most 0.01 is allowed"
    )


@pytest.mark.parametrize(
    ("now", "before"),
    [
        ({"frames": 49, "errors": 49}, None),
        ({"errors": 100}, evidence(STABLE, frames=49)),
        ({"errors": 100}, evidence(CANDIDATE)),
    ],
)
def test_few_frames_or_nothing_to_compare_with_decide_nothing(now, before):
    assert says(fleet(5, before, **now)) == {}
    assert judged(fleet(5, before, **now)).verdict is PROMOTE


def test_a_device_that_is_still_on_probation_is_evidence_already():
    told = report("pi", **ON_PROBATION, serving=evidence(CANDIDATE, errors=50), before=evidence(STABLE))
    assert judged([seen("pi", told)]).verdict is ABORT


def test_evidence_of_another_release_says_nothing_of_this_one():
    told = report("pi", **COMMITTED, serving=evidence(STABLE, errors=100), before=evidence(STABLE))
    assert says([seen("pi", told)]) == {}


def test_devices_that_failed_are_counted_as_failures_and_not_as_evidence():
    bad = evidence(CANDIDATE, errors=100)
    device = failed("bad")
    lost = replace(device, report=replace(device.report, serving=bad, before=evidence(STABLE)))
    assert says([*fleet(60), lost])["errors"] is PROMOTE


def test_what_serves_on_less_than_was_promised_is_slow_for_another_reason():
    slow = report("x", **COMMITTED, serving=evidence(CANDIDATE, invoke_ms=90.0), before=evidence(STABLE))
    on_cpu = seen("x", replace(slow, degraded="the CPU stands in"))
    assert "latency" not in says([on_cpu])
    assert says([seen("x", slow)])["latency"] is ABORT


LIES = [
    {"invoke_ms": 1e6},
    {"errors": 2**53, "frames": 2**53},
    {"restarts": 2**53},
    {"soc_c_max": 1e300},
    {"soc_c_max": -1e300},
    {"confidence": confidence(0.0)},
    {"classes": {"tiger": 2**53}},
    {"shadow_frames": 2**53, "agreed_frames": 0},
    {"shadow_frames": 1, "agreed_frames": 2**53},
]


def lying(n, lie):
    frames = min(lie.get("frames", 100), 100)
    shown = replace(evidence(CANDIDATE), **{k: v for k, v in lie.items() if k != "invoke_ms"})
    if "invoke_ms" in lie:
        shown = replace(shown, invoke_ms=histogram(*[lie["invoke_ms"]] * frames))
    return shows(f"liar-{n}", shown)


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("honest", [3, 20])
def test_one_device_that_lies_moves_no_verdict(lie, honest):
    telling = {"shadow_frames": 20, "agreed_frames": 18}
    assert judged([*fleet(honest, **telling), lying(0, lie)]).verdict is PROMOTE


@pytest.mark.parametrize("lie", [*LIES, {"soc_c_max": 1.7e308}, {"invoke_ms": 1e300}, {"invoke_ms": 0.0}])
def test_many_that_lie_break_nothing_and_are_judged_the_same_when_it_is_read_again(lie):
    judgement = judged([lying(n, lie) for n in range(9)])
    assert msgspec.json.decode(msgspec.json.encode(judgement), type=Judgement) == judgement


@pytest.mark.parametrize("lie", [{"errors": 0}, {"confidence": confidence(1.0)}, {"invoke_ms": 0.001}])
def test_one_device_that_lies_well_saves_no_bad_release(lie):
    honest = fleet(8, errors=30, score=0.5, invoke_ms=40.0)
    assert judged([*honest, lying(0, lie)]).verdict is ABORT


def test_percentiles_are_read_off_merged_histograms_in_which_every_device_weighs_the_same():
    """The busy device saw a thousand times the frames of the others."""
    busy, calm = histogram(*[10.0] * 50_000), [histogram(*[30.0] * 50) for _ in range(3)]
    pairs = [Pair(replace(evidence(CANDIDATE), invoke_ms=of), evidence(STABLE)) for of in (busy, *calm)]
    assert gathered.latency_ratio(pairs, 50).value == pytest.approx(3.0, rel=0.03)
    alone = [Pair(replace(evidence(CANDIDATE), invoke_ms=each), evidence(STABLE)) for each in (busy, calm[0])]
    merged = merge([busy, calm[0]])
    assert quantile(merged, 0.95) == pytest.approx(10.0, rel=0.02)
    assert gathered.latency_ratio(alone, 50).value == pytest.approx(3.0, rel=0.03)


def named(now, before):
    return Pair(evidence(CANDIDATE, classes=now), evidence(STABLE, classes=before))


@pytest.mark.parametrize(
    ("now", "before", "distance"),
    [
        ({"wren": 50, "robin": 50}, {"wren": 50, "robin": 50}, 0.0),
        ({"Wren, Troglodytes": 50, "robin": 50}, {"wren": 50, "robin": 50}, 0.0),
        ({"wren": 1000}, {"wren": 500, "robin": 500}, pytest.approx(0.5, abs=0.03)),
        ({"zaunkönig": 50, "rotkehlchen": 50}, {"wren": 50, "robin": 50}, None),
        ({"tiger": 100}, {"wren": 50, "robin": 50}, 1.0),
        ({"zaunkönig": 100}, {"wren": 100}, None),
        ({}, {"wren": 100}, None),
    ],
)
def test_other_labels_are_no_distance_but_blindness_is(now, before, distance):
    found = gathered.class_distance([named(now, before)])
    assert (None if found is None else found.value) == distance


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(50, 400), st.integers(2, 200))
@settings(max_examples=60, deadline=None)
def test_chance_alone_makes_no_distance(seed, devices, frames, labels):
    """Two samples of one distribution over many labels differ by much, and the limit is not for them."""
    rng = random.Random(seed)
    weights = [rng.random() ** 2 for _ in range(labels)]

    def sample():
        drawn = rng.choices(range(labels), weights, k=frames)
        return {f"label {label}": drawn.count(label) for label in set(drawn)}

    found = gathered.class_distance([named(sample(), sample()) for _ in range(devices)])
    assert found is None or found.value < POLICY.class_distance_max * 2 / 3


@given(st.lists(st.integers(-10, 10), max_size=40), st.randoms())
@settings(max_examples=50)
def test_trimming_leaves_a_middle_that_no_order_changes(values, rng):
    kept = gathered.trimmed(values, float)
    shuffled = rng.sample(values, len(values))
    assert gathered.trimmed(shuffled, float) == kept == sorted(kept)
    assert len(kept) == len(values) if len(values) < 3 else 0 < len(kept) <= len(values) - 2


def test_confidence_falls_by_the_difference_of_the_means():
    pair = Pair(evidence(CANDIDATE, score=0.52), evidence(STABLE, score=0.92))
    assert gathered.confidence_drop([pair]) == Measured(pytest.approx(0.4), 1)
    assert gathered.confidence_drop([Pair(evidence(CANDIDATE, confidence=()), pair.before)]) is None


def test_evidence_is_paired_on_the_devices_that_run_the_release():
    counted = tally.count(rollout(), picture(*fleet(3), failed("x")))
    assert len(gathered.pairs(counted, CANDIDATE.manifest)) == 3
    assert gathered.pairs(counted, VARIANT) == ()
