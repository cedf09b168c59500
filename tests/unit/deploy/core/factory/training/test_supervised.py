import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.documents import Normalization
from deploy.core.factory.training import supervised
from deploy.core.factory.training.supervised import Taught, Wanted
from deploy.core.factory.words import Look
from deploy.core.refusal import Refused


def everything(taught):
    return taught.batch(np.arange(len(taught.labels)))


WANTED = Wanted(shape=(4, 4, 1), classes=3)
X = np.linspace(0, 1, 30 * 16, dtype=np.float32).reshape(30, 4, 4, 1)
Y = np.arange(30) % 3


def with_nan():
    spoilt = X.copy()
    spoilt[7, 1, 2, 0] = np.nan
    return spoilt


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (X[:, :3], Y, "x has the shape 30 x 3 x 4 x 1, and the model takes samples of 4 x 4 x 1"),
        (X[0], Y, "x has the shape 4 x 4 x 1"),
        (X, Y[:-1], "has 30 samples in x and 29 in y"),
        (X, Y + 1, "y runs from 1 to 3, and the model gives 3 numbers, for the classes 0 to 2"),
        (X, Y - 1, "y runs from -1 to 1"),
        (X, np.eye(3, dtype=np.int64)[Y], "y is int64 of the shape 30 x 3: give the number of its class"),
        (X, Y.astype(np.float32), "y is float32"),
        (X.astype(np.int32), Y, "x is int32: give floats as the model takes them, or pixels as uint8"),
        (with_nan(), Y, "sample 7 of x has NaN or an infinity"),
    ],
)
def test_data_that_the_model_cannot_learn_from_are_refused_in_one_sentence(x, y, said):
    with pytest.raises(Refused) as refused:
        supervised.check(x, y, WANTED, Look(), "digits.npz")
    assert said in str(refused.value)
    assert str(refused.value).startswith("digits.npz: ") or str(refused.value).startswith("digits.npz has ")


def test_an_open_size_takes_any():
    assert supervised.check(X, Y, Wanted((-1, 4, 1), 3), Look(), "p").inputs.shape == X.shape


@pytest.mark.parametrize(
    ("look", "black", "white"),
    [(Look(), -1.0, 1.0), (Look(normalization=Normalization(mean=(0.0,), std=(255.0,))), 0.0, 1.0)],
)
def test_bytes_are_scaled_as_a_device_scales_them_and_floats_are_not(look, black, white):
    pixels = np.zeros((30, 4, 4, 1), np.uint8)
    pixels[1:] = 255
    found = everything(supervised.check(pixels, Y, WANTED, look, "p"))
    assert found.dtype == np.float32
    assert (found[0].max(), found[1].min()) == (black, white)
    assert np.array_equal(everything(supervised.check(X, Y, WANTED, look, "p")), X)


def test_bytes_stay_bytes_until_their_batch_is_asked_for():
    pixels = np.zeros((30, 4, 4, 1), np.uint8)
    taught = supervised.check(pixels, Y, WANTED, Look(), "p")
    assert taught.inputs is pixels
    assert supervised.divide(taught, 0.2, 0, "p").training.inputs.dtype == np.uint8
    assert taught.batch(np.array([3, 4])).shape == (2, 4, 4, 1)


@given(count=st.integers(20, 200), share=st.floats(0.01, 0.9), seed=st.integers(0, 9))
def test_each_sample_either_teaches_or_judges(count, share, seed):
    taught = Taught(np.arange(count, dtype=np.float32)[:, None], np.arange(count))
    lesson = supervised.divide(taught, share, seed, "p")
    both = [*lesson.training.labels, *lesson.held_out.labels]
    assert sorted(both) == list(range(count))
    assert len(lesson.held_out.labels) == max(1, round(share * count))
    assert np.array_equal(lesson.training.inputs[:, 0], lesson.training.labels)
    again = supervised.divide(taught, share, seed, "p")
    assert np.array_equal(again.held_out.labels, lesson.held_out.labels)


def test_a_handful_of_samples_is_refused():
    taught = Taught(X[:19], Y[:19])
    with pytest.raises(Refused, match="has 19 samples, at least 20 are needed"):
        supervised.divide(taught, 0.2, 0, "p")
