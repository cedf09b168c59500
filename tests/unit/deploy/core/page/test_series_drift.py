import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.core.page.series import Drift
from deploy.core.page.series_drift import (
    FRAMES_MIN,
    compare,
    compare_labels,
    frames_a_label,
    frames_a_sight,
    index,
)

counts = st.lists(st.integers(0, 10_000), min_size=2, max_size=30)


@given(counts)
def test_what_is_as_its_reference_has_no_index(seen):
    assert index(seen, seen) == 0.0


@given(counts.flatmap(lambda seen: st.tuples(st.just(seen), st.permutations(seen))))
def test_the_index_is_finite_not_negative_and_the_same_both_ways(pair):
    seen, reference = pair
    assert 0.0 <= index(seen, reference) < math.inf
    assert index(seen, reference) == pytest.approx(index(reference, seen))


def test_the_index_is_that_of_the_books():
    # Ten classes of a tenth each, of which one has moved by a twentieth to another.
    seen, reference = [100_000] * 10, [100_000] * 10
    seen[0], seen[1] = 150_000, 50_000
    meant = 0.05 * math.log(1.5) - 0.05 * math.log(0.5)
    assert index(seen, reference) == pytest.approx(meant, rel=1e-3)


@pytest.mark.parametrize(
    ("seen", "reference", "drift"),
    [
        ({"cat": 900, "dog": 100}, {"cat": 9_000, "dog": 1_000}, Drift.STEADY),
        ({"cat": 800, "dog": 200}, {"cat": 9_000, "dog": 1_000}, Drift.STEADY),
        ({"cat": 750, "dog": 250}, {"cat": 9_000, "dog": 1_000}, Drift.SHIFTING),
        ({"cat": 500, "dog": 500}, {"cat": 9_000, "dog": 1_000}, Drift.DRIFTED),
        ({"fox": 1_000}, {"cat": 9_000, "dog": 1_000}, Drift.DRIFTED),
        ({"cat": FRAMES_MIN - 1}, {"dog": 9_000}, Drift.TOO_FEW),
        ({}, {}, Drift.TOO_FEW),
    ],
)
def test_how_far_labels_have_moved(seen, reference, drift):
    assert compare_labels(seen, reference).drift is drift


def test_chance_alone_is_called_drift_less_than_once_in_fifty_times():
    chance = random.Random(1)
    labels = range(20)

    def frames(n):
        drawn = chance.choices(labels, k=n)
        return [drawn.count(label) for label in labels]

    verdicts = [compare(frames(300), frames(300)) for _ in range(200)]
    assert sum(v.psi > v.noise for v in verdicts) <= 4
    assert {v.drift for v in verdicts} <= {Drift.STEADY, Drift.SHIFTING}


def test_hundreds_of_labels_are_compared_by_the_most_frequent():
    seen = {f"label {n}": 1_000 if n < 5 else 1 for n in range(500)}
    assert compare_labels(seen, seen).psi == 0.0


def camera(seed, days, shares=(0.7, 0.2, 0.07, 0.03), dwell_s=60.0):
    """What a camera of ten frames a second names, hour by hour: it sees each thing for a while, and by night
    mostly the first.
    """
    chance = random.Random(seed)
    for hour in range(24 * days):
        busy = max(0.05, math.sin((hour % 24 - 6) / 12 * math.pi))
        weights = [1.0 - busy * (1.0 - shares[0]), *(busy * share for share in shares[1:])]
        counts = dict.fromkeys(map(str, range(len(shares))), 0)
        left_s = 3_600.0
        while left_s > 0:
            lasts_s = min(left_s, chance.expovariate(1.0 / dwell_s))
            counts[chance.choices(list(counts), weights)[0]] += int(10 * lasts_s)
            left_s -= lasts_s
        yield counts


def together(hours):
    return {label: sum(hour.get(label, 0) for hour in hours) for label in {name for h in hours for name in h}}


@pytest.mark.parametrize("seed", range(5))
def test_of_a_camera_that_sees_the_same_each_day_nothing_is_said_on_any(seed):
    hours = list(camera(seed, days=6))
    first = hours[:24]
    for day in range(24, len(hours) - 23, 12):
        verdict = compare_labels(together(hours[day : day + 24]), together(first), frames_a_label(first))
        assert verdict.drift is Drift.STEADY, (day, verdict)


def test_a_camera_that_is_covered_is_told_within_hours():
    first = list(camera(1, days=1))
    covered = list(camera(2, days=1))[:20] + [{"dark": 36_000}] * 4
    assert compare_labels(together(covered), together(first), frames_a_label(first)).drift is Drift.DRIFTED


def test_a_camera_that_sees_something_else_more_often_is_told_within_two_days():
    first = list(camera(1, days=1))
    other = list(camera(2, days=1, shares=(0.7, 0.03, 0.07, 0.2)))
    assert compare_labels(together(other), together(first), frames_a_label(first)).drift is not Drift.STEADY


@pytest.mark.parametrize("frames", [1, 50, 600])
def test_frames_that_come_in_runs_count_as_often_as_what_they_show_changes(frames):
    chance = random.Random(3)

    def span():
        drawn = chance.choices(range(5), k=2_000)
        return [frames * drawn.count(label) for label in range(5)]

    assert frames_a_sight([span() for _ in range(24)]) == pytest.approx(frames, rel=0.5)


def test_too_few_sights_are_too_few_however_many_frames_they_fill():
    spans = [[36_000, 0], [0, 36_000]] * 3
    assert compare([36_000, 0], [108_000, 108_000], frames_a_sight(spans)).drift is Drift.TOO_FEW
