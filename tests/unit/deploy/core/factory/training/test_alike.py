"""Pictures that look nearly alike are found among those that only resemble each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.core.factory.training import alike

SHAPE = (alike.SIDE_PX, alike.SIDE_PX, 3)


def scene(seed):
    return np.random.default_rng(seed).integers(40, 216, SHAPE)


def pressed(pixels, change):
    return np.clip(pixels + change, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (0, True),
        (3, True),
        (np.random.default_rng(5).integers(-6, 7, SHAPE), True),
        (40, False),
        (np.random.default_rng(5).integers(-40, 41, SHAPE), False),
    ],
    ids=["a copy", "a little brighter", "noise", "much brighter", "another thing"],
)
def test_a_picture_and_its_like(change, same):
    prints = [pressed(scene(1), 0), pressed(scene(2), 0), pressed(scene(1), change)]
    assert alike.groups(prints) == (0, 1, 0 if same else 2)


def test_a_film_is_one_moment_though_its_ends_differ():
    first, last = scene(1), scene(2)
    frames = [pressed(first + (last - first) * step / 40, 0) for step in range(41)]
    assert set(alike.groups(frames)) == {0}
    assert alike.groups([frames[0], frames[-1]]) == (0, 1)


def test_there_may_be_one_picture_or_none():
    assert alike.groups([]) == ()
    assert alike.groups([pressed(scene(1), 0)]) == (0,)


@given(st.lists(st.integers(0, 5), max_size=12))
def test_every_group_is_named_by_its_first_and_has_the_copies_of_each(seeds):
    found = alike.groups([pressed(scene(seed), 0) for seed in seeds])
    assert found == tuple(seeds.index(seed) for seed in seeds)
