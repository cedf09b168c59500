import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.core.factory.conversion import channels
from deploy.core.refusal import Refused

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple)


def counted(shape):
    return np.arange(np.prod(shape)).reshape(shape)


@given(SHAPES)
def test_an_array_comes_back_from_the_other_world_as_it_went(shape):
    array = counted(shape)
    there = channels.last(array, channels_last(shape), "image")
    assert np.array_equal(channels.first(there, shape, "image"), array)


def channels_last(shape):
    return (shape[0], *shape[2:], shape[1]) if 3 <= len(shape) <= 5 else shape


@pytest.mark.parametrize(
    ("shape", "wanted", "moves"),
    [
        ((1, 4, 6, 3), (1, 3, 4, 6), True),
        ((1, 4, 6, 3), (-1, 3, -1, -1), True),
        ((1, 4, 6, 3), (1, 4, 6, 3), False),
        ((1, 4, 3), (1, 3, 4), True),
        ((7, 5), (7, 5), False),
    ],
)
def test_channels_move_only_where_the_shape_says_so(shape, wanted, moves):
    array = counted(shape)
    found = channels.first(array, wanted, "image")
    assert np.array_equal(found, np.moveaxis(array, -1, 1) if moves else array)


def test_a_shape_that_fits_neither_way_is_refused_by_name():
    with pytest.raises(Refused, match=r"'image' has the shape"):
        channels.first(counted((1, 4, 6, 3)), (1, 9, 4, 6), "image")


@pytest.mark.parametrize(("name", "said"), [("image", "image"), ("onnx::Conv.1", "onnx__Conv_1")])
def test_a_name_is_written_as_tensorflow_allows_it(name, said):
    assert channels.plain(name) == said
