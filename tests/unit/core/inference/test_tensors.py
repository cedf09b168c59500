from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.inference.tensors import Preparer, centre, fit, prepare
from agent.wire.documents import Dtype, Fit, InputContract, Normalization, Quantization


@dataclass(frozen=True)
class Tensor:
    shape: tuple[int, ...]
    dtype: Dtype
    quantization: Quantization | None = None
    name: str = "image"


def contract(tensor, fit_=Fit.SQUASH, normalization=None):
    _, height, width, *channels = tensor.shape
    return InputContract(
        height_px=height,
        width_px=width,
        channels=3 if channels == [3] else 1,
        dtype=tensor.dtype,
        fit=fit_,
        quantization=tensor.quantization,
        normalization=normalization,
    )


RAMP = np.array([[[0, 1, 2], [127, 128, 129]], [[200, 253, 254], [255, 64, 32]]], np.uint8)
NUMBERS = RAMP.reshape(-1).astype(int).tolist()
ONE_128TH = Quantization(scale=1 / 128, zero_point=128)


def q(scale, zero_point):
    return Quantization(scale=scale, zero_point=zero_point)


def n(mean, std):
    return Normalization(mean=mean, std=std)


@pytest.mark.parametrize(
    ("dtype", "quantization", "normalization", "expected"),
    [
        (Dtype.UINT8, ONE_128TH, None, lambda p, _: p),
        (Dtype.UINT8, q(0.0115, 123), None, lambda p, _: p),
        (Dtype.UINT8, None, None, lambda p, _: p),
        (Dtype.INT8, q(1 / 127.5, -1), None, lambda p, _: p - 128),
        # scale and zero point undo the normalization: the pixel itself
        (Dtype.UINT8, ONE_128TH, n((128.0,), (128.0,)), lambda p, _: p),
        # (p - 0) / (1 * 2) + 0, halves away from zero
        (Dtype.UINT8, q(2.0, 0), n((0.0,), (1.0,)), lambda p, _: (p + 1) // 2),
        # (p - 100) / 1 - 28, saturating above 127
        (Dtype.INT8, q(0.5, -28), n((100.0,), (2.0,)), lambda p, _: min(p - 128, 127)),
        # real in [-1, 1]; 0.5 and -0.5 of a step away from zero: p = 127 is -1/255 of 255 steps
        (Dtype.INT16, q(1 / 255, 0), None, lambda p, _: 2 * p - 255),
        (Dtype.INT16, q(0.5, 7), n((10.0,), (2.0,)), lambda p, _: p - 10 + 7),
    ],
)
def test_pixels_become_integers_by_the_rule_of_their_type(dtype, quantization, normalization, expected):
    tensor = Tensor((1, 2, 2, 3), dtype, quantization)

    found = prepare(RAMP, contract(tensor, normalization=normalization), tensor)

    assert (found.shape, found.dtype) == (tensor.shape, np.dtype(dtype.value))
    assert found.reshape(-1).tolist() == [expected(p, i % 3) for i, p in enumerate(NUMBERS)]


@pytest.mark.parametrize("dtype", [Dtype.FLOAT32, Dtype.FLOAT16])
@pytest.mark.parametrize(
    ("normalization", "expected"),
    [
        (None, lambda p, _: (p - 127.5) / 127.5),
        (n((0.0,), (255.0,)), lambda p, _: p / 255),
        (n((10.0, 20.0, 30.0), (1.0, 2.0, 4.0)), lambda p, c: (p - (10, 20, 30)[c]) / (1, 2, 4)[c]),
    ],
)
def test_pixels_become_real_numbers_by_the_declared_normalization(dtype, normalization, expected):
    tensor = Tensor((1, 2, 2, 3), dtype)

    found = prepare(RAMP, contract(tensor, normalization=normalization), tensor)

    assert (found.shape, found.dtype) == (tensor.shape, np.dtype(dtype.value))
    wanted = [expected(p, i % 3) for i, p in enumerate(NUMBERS)]
    assert found.reshape(-1).tolist() == pytest.approx(wanted, abs=1e-6, rel=1e-3)


def test_gray_is_the_luma_of_itu_r_601():
    tensor = Tensor((1, 2, 2), Dtype.UINT8)
    primaries = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)

    found = prepare(primaries, contract(tensor), tensor)

    assert found.tolist() == [[[76, 150], [29, 255]]]


@pytest.mark.parametrize(
    ("frame", "size", "box"),
    [
        ((640, 480), (224, 224), (80, 0, 560, 480)),
        ((480, 640), (224, 224), (0, 80, 480, 560)),
        ((224, 224), (224, 224), (0, 0, 224, 224)),
        ((100, 100), (200, 100), (0, 25, 100, 75)),
    ],
)
def test_the_centre_window_has_the_aspect_of_the_model(frame, size, box):
    assert centre(frame, size) == pytest.approx(box)


def stripes():
    """Red, green, blue, each a third of a wide frame."""
    frame = np.zeros((40, 120, 3), np.uint8)
    for channel in range(3):
        frame[:, 40 * channel : 40 * (channel + 1), channel] = 255
    return frame


def test_a_crop_sees_the_middle_a_squash_sees_all_and_a_letterbox_has_black_bars():
    tensor = Tensor((1, 30, 30, 3), Dtype.UINT8)

    cropped = fit(stripes(), contract(tensor, Fit.CENTRE_CROP))
    squashed = fit(stripes(), contract(tensor, Fit.SQUASH))
    boxed = fit(stripes(), contract(tensor, Fit.LETTERBOX))

    # The filter sees the neighbours across the edge of the window.
    assert (cropped[:, 1:-1] == (0, 255, 0)).all()
    assert [squashed[15, x].tolist() for x in (3, 15, 27)] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert (boxed[:10] == 0).all()
    assert (boxed[20:] == 0).all()
    assert [boxed[15, x].tolist() for x in (3, 15, 27)] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_the_bars_of_a_letterbox_are_normalized_like_black_pixels():
    tensor = Tensor((1, 30, 30, 3), Dtype.FLOAT32)

    found = prepare(stripes(), contract(tensor, Fit.LETTERBOX), tensor)

    assert (found[0, 0] == -1.0).all()


def test_a_frame_of_the_right_size_is_not_touched():
    tensor = Tensor((1, 2, 2, 3), Dtype.UINT8)

    for how in Fit:
        assert prepare(RAMP, contract(tensor, how), tensor)[0].tolist() == RAMP.tolist()


def test_tensors_do_not_share_memory_with_one_another():
    tensor = Tensor((1, 3, 5, 3), Dtype.FLOAT32)
    preparer = Preparer(contract(tensor), tensor)

    first = preparer.prepare(RAMP)
    kept = first.copy()
    preparer.prepare(255 - RAMP)

    assert (first == kept).all()


@pytest.mark.parametrize(
    ("tensor", "normalization", "words"),
    [
        (
            Tensor((1, 2, 2, 1), Dtype.FLOAT32),
            n((1.0, 2.0, 3.0), (1.0, 1.0, 1.0)),
            "3 values a parameter for 1",
        ),
        (Tensor((1, 2, 2, 3), Dtype.UINT8), n((1.0,), (1.0,)), "needs a scale"),
    ],
)
def test_a_contract_that_cannot_be_applied_is_refused_at_once(tensor, normalization, words):
    with pytest.raises(ValueError, match=words):
        Preparer(contract(tensor, normalization=normalization), tensor)


@settings(max_examples=60, deadline=None)
@given(
    frame=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    how=st.sampled_from(list(Fit)),
    dtype=st.sampled_from([Dtype.UINT8, Dtype.INT8, Dtype.FLOAT32]),
    tail=st.sampled_from([(), (1,), (3,)]),
)
def test_any_frame_becomes_a_tensor_of_the_models_shape_and_type(frame, size, how, dtype, tail):
    tensor = Tensor((1, *size, *tail), dtype)

    found = prepare(np.full((*frame, 3), 255, np.uint8), contract(tensor, how), tensor)

    assert (found.shape, found.dtype) == (tensor.shape, np.dtype(dtype.value))
    bright = {Dtype.UINT8: 255, Dtype.INT8: 127, Dtype.FLOAT32: 1.0}[dtype]
    assert found.max() == bright
    assert how is Fit.LETTERBOX or found.min() == bright
