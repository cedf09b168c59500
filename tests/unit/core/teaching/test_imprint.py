import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.teaching import imprint
from agent.core.teaching.imprint import Seen

DIMENSIONS = 24


def _cloud(label: str, axis: int, pictures: int, spread: float, seed: int = 0) -> Seen:
    """Unit vectors around an axis."""
    noise = np.random.default_rng((seed, axis)).normal(0, spread, (pictures, DIMENSIONS))
    vectors = noise + np.eye(DIMENSIONS)[axis]
    return Seen(label, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


CLOUDS = st.builds(
    _cloud,
    st.sampled_from("abc"),
    st.integers(0, 3),
    st.integers(2, 12),
    st.sampled_from([0.01, 0.3, 1.0]),
    st.integers(0, 1000),
)


def test_labels_that_lie_apart_are_told_apart_by_what_was_held_out():
    held = imprint.hold_out([_cloud("a", 0, 9, 0.05), _cloud("b", 1, 7, 0.05)], [])
    assert (held.right, len(held.truth)) == (16, 16)
    assert imprint.confusions(held, ()) == ()


def test_a_picture_has_no_part_in_the_label_that_it_is_held_against():
    lonely = Seen("a", np.eye(DIMENSIONS)[[0, 1]])
    held = imprint.hold_out([lonely, Seen("b", np.eye(DIMENSIONS)[[2, 2]])], [])
    assert held.cosines[:2, 0].tolist() == [0.0, 0.0]


def test_neighbours_are_held_out_together():
    burst = Seen("a", np.repeat(np.eye(DIMENSIONS)[[0, 1, 2, 3, 4]], 4, axis=0))
    held = imprint.hold_out([burst, _cloud("b", 9, 3, 0.01)], [])
    assert np.allclose(held.cosines[:20, 0], 0.0)


@given(CLOUDS, CLOUDS)
def test_pictures_added_later_teach_the_same_as_all_at_once(first, later):
    both = Seen("x", np.concatenate([first.embeddings, later.embeddings]))
    one, other = imprint.imprint(Seen("x", first.embeddings)), imprint.imprint(Seen("x", later.embeddings))
    (found,) = imprint.merged([one], [other])
    whole = imprint.imprint(both)
    assert found.pictures == whole.pictures
    np.testing.assert_allclose(found.mean, whole.mean, atol=1e-12)


@given(st.lists(CLOUDS, min_size=2, max_size=5, unique_by=lambda seen: seen.label))
def test_confusions_count_every_mistake_once(seen):
    whole = [imprint.imprint(each) for each in seen]
    held = imprint.hold_out(seen, [])
    mistaken = sum(each.mistaken for each in imprint.confusions(held, whole))
    assert mistaken == len(held.truth) - held.right


def test_alike_labels_are_named_with_how_alike_they_are():
    seen = [_cloud("cup", 0, 8, 0.2), _cloud("mug", 0, 8, 0.2, seed=1), _cloud("dog", 5, 8, 0.2)]
    first, second, similarity = imprint.closest([imprint.imprint(each) for each in seen])
    assert (first, second) == ("cup", "mug")
    assert similarity > 0.8


@pytest.mark.parametrize("spread", [0.02, 0.2, 0.5])
def test_the_scale_lets_few_pictures_claim_little(spread):
    few = imprint.hold_out([_cloud("a", 0, 3, spread), _cloud("b", 1, 3, spread)], [])
    many = imprint.hold_out([_cloud("a", 0, 60, spread), _cloud("b", 1, 60, spread)], [])
    assert imprint.fitted_scale(few) < imprint.fitted_scale(many)


def test_scores_of_labels_that_cannot_be_told_apart_are_level():
    held = imprint.hold_out([_cloud("a", 0, 40, 0.5), _cloud("b", 0, 40, 0.5, seed=1)], [])
    assert imprint.fitted_scale(held) < 5


def test_what_is_unfamiliar_lies_between_ones_own_and_others_pictures():
    held = imprint.hold_out([_cloud("a", 0, 20, 0.05), _cloud("b", 1, 20, 0.05)], [])
    own = held.cosines[np.arange(40), held.truth]
    assert 0.1 < imprint.familiar(held) < own.min()


def test_where_labels_overlap_nearly_every_picture_stays_familiar():
    held = imprint.hold_out([_cloud("a", 0, 40, 0.5), _cloud("b", 0, 40, 0.5, seed=1)], [])
    own = held.cosines[np.arange(80), held.truth]
    assert (own < imprint.familiar(held)).mean() <= 0.05


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(10, 10, 0.722, 1.0), (0, 10, 0.0, 0.278), (50, 100, 0.404, 0.596)],
)
def test_the_interval_is_that_of_wilson(right, total, low, high):
    found = imprint.interval(right, total)
    assert math.isclose(found[0], low, abs_tol=5e-4)
    assert math.isclose(found[1], high, abs_tol=5e-4)
