import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.inference.quant import dequantize, quantize, round_half_away
from agent.wire.documents import Dtype, Quantization

HALF = Quantization(scale=0.5, zero_point=3)
INTEGERS = [Dtype.UINT8, Dtype.INT8, Dtype.INT16]


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.5, 1), (-0.5, -1), (1.5, 2), (2.5, 3), (-2.5, -3), (0.49999997, 0), (-0.49999997, 0), (7.0, 7)],
)
def test_halves_go_away_from_zero(value, rounded):
    assert round_half_away(np.array([value], np.float32))[0] == rounded


@pytest.mark.parametrize(
    ("real", "dtype", "expected"),
    [
        (0.0, Dtype.INT8, 3),
        (0.25, Dtype.INT8, 4),
        (-0.25, Dtype.INT8, 2),
        (1e9, Dtype.INT8, 127),
        (-1e9, Dtype.INT8, -128),
        (1e300, Dtype.INT16, 32767),
        (-5.0, Dtype.UINT8, 0),
        (1e9, Dtype.UINT8, 255),
    ],
)
def test_values_land_on_the_grid_and_saturate(real, dtype, expected):
    with np.errstate(over="ignore"):
        found = quantize(np.array([real]), HALF, dtype)

    assert found.dtype == np.dtype(dtype.value)
    assert found[0] == expected


def test_eight_bits_do_not_overflow_when_the_zero_point_is_taken_off():
    parameters = Quantization(scale=1 / 256, zero_point=-128)

    assert dequantize(np.array([127, -128], np.int8), parameters).tolist() == [255 / 256, 0.0]


@given(
    dtype=st.sampled_from(INTEGERS),
    scale=st.floats(1e-4, 10.0),
    zero_point=st.integers(-100, 100),
    steps=st.lists(st.floats(-20.0, 20.0), min_size=1, max_size=20),
)
def test_what_is_quantised_comes_back_within_half_a_step(dtype, scale, zero_point, steps):
    parameters = Quantization(scale=scale, zero_point=max(zero_point, 30 if dtype is Dtype.UINT8 else -100))
    real = np.array(steps) * scale

    back = dequantize(quantize(real, parameters, dtype), parameters)

    assert np.abs(back - real).max() <= scale * (0.5 + 1e-5)


@given(dtype=st.sampled_from(INTEGERS), scale=st.floats(1e-4, 10.0), number=st.integers(-128, 127))
def test_every_number_of_the_grid_survives_the_way_there_and_back(dtype, scale, number):
    parameters = Quantization(scale=scale, zero_point=5)
    grid = np.array([number + 128 if dtype is Dtype.UINT8 else number]).astype(dtype.value)

    assert quantize(dequantize(grid, parameters), parameters, dtype) == grid
