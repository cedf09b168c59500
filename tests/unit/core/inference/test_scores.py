from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.inference.scores import finite, rank, scores, softmax, top
from agent.wire.documents import Activation, Dtype, OutputContract, Quantization
from agent.wire.reports import Ranked

SHARES = Quantization(scale=1 / 256, zero_point=0)


@dataclass(frozen=True)
class Tensor:
    shape: tuple[int, ...]
    dtype: Dtype
    quantization: Quantization | None = None
    name: str = "scores"


def contract(tensor, activation=Activation.PROBABILITIES):
    return OutputContract(classes=tensor.shape[-1], dtype=tensor.dtype, activation=activation)


def ranked(index, label, score):
    return Ranked(index=index, label=label, score=score)


def test_quantised_shares_become_labels_best_first_and_ties_by_index():
    tensor = Tensor((1, 5), Dtype.UINT8, SHARES)
    output = np.array([[0, 64, 128, 64, 0]], np.uint8)

    found = rank(output, contract(tensor), tensor, ["a", "b", "c", "d", "e"], 4)

    assert found == (ranked(2, "c", 0.5), ranked(1, "b", 0.25), ranked(3, "d", 0.25), ranked(0, "a", 0.0))


def test_signed_shares_are_counted_from_their_zero_point():
    tensor = Tensor((1, 2), Dtype.INT8, Quantization(scale=1 / 256, zero_point=-128))

    assert scores(np.array([[127, -128]], np.int8), contract(tensor), tensor).tolist() == [255 / 256, 0.0]


def test_logits_become_probabilities_and_probabilities_are_left_alone():
    tensor = Tensor((1, 3), Dtype.FLOAT32)
    output = np.log(np.array([[1.0, 2.0, 7.0]], np.float32))

    shares = scores(output, contract(tensor, Activation.LOGITS), tensor)

    assert shares.tolist() == pytest.approx([0.1, 0.2, 0.7], abs=1e-6)
    assert scores(output, contract(tensor), tensor).tolist() == pytest.approx(output[0].tolist())


def test_softmax_survives_large_logits():
    assert softmax(np.array([1e5, 0.0])).tolist() == [1.0, 0.0]


def test_a_class_without_a_name_goes_by_its_number():
    tensor = Tensor((1, 3), Dtype.FLOAT32)
    output = np.array([[0.2, 0.5, 0.3]], np.float32)

    assert [r.label for r in rank(output, contract(tensor), tensor, ["only", ""], 9)] == [
        "class 1",
        "class 2",
        "only",
    ]


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_detected_and_never_ranked_best(bad, activation):
    tensor = Tensor((1, 3), Dtype.FLOAT32)
    output = np.array([[bad, 0.4, 0.6]], np.float32)

    assert not finite(output)
    assert finite(np.nan_to_num(output, nan=0, posinf=0, neginf=0))
    for each in rank(output, contract(tensor, activation), tensor, [], 3):
        assert 0 <= each.score <= 1
        assert each.index != 0 or each.score == 0


def test_less_than_one_class_cannot_be_asked_for():
    tensor = Tensor((1, 3), Dtype.FLOAT32)
    with pytest.raises(ValueError, match="the 0 best classes"):
        rank(np.zeros((1, 3), np.float32), contract(tensor), tensor, [], 0)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(1, 50))
def test_top_agrees_with_sorting_everything(numbers, count):
    everything = sorted(enumerate(map(float, numbers)), key=lambda pair: (-pair[1], pair[0]))

    assert top(np.array(numbers, float), count) == tuple(everything[:count])
