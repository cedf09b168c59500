import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.core.page.series import Drift
from deploy.core.page.series_drift import FRAMES_MIN, compare, compare_labels, index

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
