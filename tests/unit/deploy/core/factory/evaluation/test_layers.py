"""Where quantization hurts: matching, measuring, advising."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deploy.core.factory.evaluation import layers
from deploy.core.factory.evaluation.layers import Sum
from deploy.core.factory.evaluation.seen import Compared, TensorError
from deploy.core.refusal import Refused


@dataclass(frozen=True)
class Placed:
    name: str
    operator: str = "CONV_2D"
    shape: tuple[int, ...] = (1, 4)


def test_layers_are_matched_by_name_whatever_lies_between_them():
    reference = [Placed("a"), Placed("b"), Placed("c")]
    found = layers.match(reference, [Placed("x"), Placed("a"), Placed("b"), Placed("y"), Placed("c")])
    assert found.places == ((0, 1), (1, 2), (2, 4))
    assert found.by == "name"


def test_a_layer_of_the_same_name_and_another_shape_is_another_layer():
    found = layers.match([Placed("a"), Placed("b")], [Placed("a"), Placed("b", shape=(1, 5))])
    assert found.places == ((0, 0),)


def test_converters_that_name_tensors_differently_leave_the_order_of_operators():
    found = layers.match([Placed("a"), Placed("b")], [Placed("p"), Placed("q")])
    assert (found.places, found.by) == (((0, 0), (1, 1)), "order of operators")


def test_another_network_is_refused():
    with pytest.raises(Refused, match="only 0 of 2 layers"):
        layers.match([Placed("a"), Placed("b")], [Placed("p"), Placed("q", operator="ADD")])


def test_an_error_as_large_as_the_signal_is_one_and_has_no_decibel():
    found = Sum()
    signal = np.array([1.0, -1.0, 1.0, -1.0])
    found.add(signal, np.zeros(4), None)
    assert found.error == pytest.approx(1.0)
    assert found.sqnr_db == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("reference", "quantized"),
    [([0.0, 0.0], [1.0, 0.0]), ([1.0, math.nan], [1.0, 2.0]), ([1.0, 2.0], [1.0, math.inf])],
)
def test_an_error_without_measure_is_still_a_number_that_a_document_holds(reference, quantized):
    found = Sum()
    found.add(np.array(reference), np.array(quantized), None)
    assert found.error == layers.ERROR_MAX
    assert found.sqnr_db is None or math.isfinite(found.sqnr_db)


def test_channels_that_were_wiped_out_are_seen_beside_one_of_large_numbers():
    signal = np.random.default_rng(0).normal(size=(1, 8, 8, 6)) * [1000.0, 1, 1, 1, 1, 1]
    quantized = signal * [1, 0, 0, 0, 0, 0]
    found = Sum()
    found.add(signal, quantized, None)
    assert found.error == pytest.approx(1.0, abs=0.05)
    assert found.sqnr_db == pytest.approx(53, abs=2)


def test_channels_that_never_change_do_not_hide_or_cause_an_error():
    signal = np.random.default_rng(0).normal(size=(1, 8, 8, 6)) * [1.0, 0, 0, 0, 0, 0] + 3
    found = Sum()
    found.add(signal, signal + 0.01, None)
    assert found.error < 0.03


def test_a_channel_of_few_numbers_has_no_deviation_of_its_own():
    found = Sum()
    found.add(np.array([[1.0, 5.0, 9.0]]), np.array([[1.0, 5.0, 9.5]]), None)
    found.add(np.array([[1.1, 5.0, 9.0]]), np.array([[1.0, 5.1, 9.5]]), None)
    assert found.error == pytest.approx(0.0887, abs=0.01)


def test_what_a_quantized_tensor_cannot_express_is_counted_as_clipped():
    found = Sum()
    signal = np.array([0.0, 3.0, 6.0, 12.0])
    found.add(signal, signal.clip(0, 6), (0.0, 6.0))
    assert found.clipped == 1


@given(
    arrays.arrays(np.float64, 12, elements=st.floats(-100, 100)),
    arrays.arrays(np.float64, 12, elements=st.floats(-100, 100)),
    st.integers(1, 11),
)
def test_pictures_one_by_one_give_what_they_give_at_once(reference, quantized, cut):
    once, parts = Sum(), Sum()
    once.add(reference, quantized, (-50.0, 50.0))
    parts.add(reference[:cut], quantized[:cut], (-50.0, 50.0))
    parts.add(reference[cut:], quantized[cut:], (-50.0, 50.0))
    assert (parts.count, parts.clipped) == (once.count, once.clipped)
    assert parts.difference == pytest.approx(once.difference)
    assert parts.squares == pytest.approx(once.squares)


@given(arrays.arrays(np.float64, 40, elements=st.floats(-1, 1)), st.sampled_from([1 / 8, 1 / 64, 1 / 512]))
def test_finer_steps_have_no_larger_error_than_their_half_step(signal, step):
    found = Sum()
    found.add(signal, np.round(signal / step) * step, None)
    assert math.sqrt(found.difference / found.count) <= step / 2 + 1e-12


def tensor(name: str, error: float, *sources: str, **more) -> TensorError:
    told = {"operator": "CONV_2D", "place": 1, "sqnr_db": 10.0, "clipped": 0.0, "per_tensor_weights": False}
    return TensorError(name=name, error=error, sources=sources, **told | more)


def advice(*tensors: TensorError) -> tuple[str, ...]:
    return layers.report(Compared(matched_by="name", unmatched=0, pictures=1, tensors=tensors), 0).advice


def test_the_layer_that_starts_the_trouble_is_named_and_not_those_that_pass_it_on():
    said = advice(tensor("in", 0.01), tensor("culprit", 0.5, "in"), tensor("after", 0.55, "culprit"))
    assert len(said) == 1
    assert said[0].startswith("CONV_2D 1 (culprit) adds an error of 0.49")


def test_after_the_signal_is_lost_no_layer_is_blamed_for_more():
    said = advice(tensor("in", 0.02), tensor("culprit", 0.7, "in"), tensor("after", 1.9, "culprit"))
    assert said[0].startswith("CONV_2D 1 (culprit)")
    assert len(advice(tensor("in", 0.02), tensor("culprit", 1.2, "in"), tensor("after", 1.9, "culprit"))) == 1


@pytest.mark.parametrize(
    ("more", "remedy"),
    [
        ({"per_tensor_weights": True}, "per channel"),
        ({"clipped": 0.2}, "20% of them lie outside the calibrated range"),
        ({}, "int16x8"),
    ],
)
def test_what_to_try_depends_on_what_is_wrong(more, remedy):
    assert remedy in advice(tensor("in", 0.0), tensor("a", 0.5, "in", **more))[0]


def test_an_input_far_outside_its_range_is_a_matter_of_normalization():
    assert "--mean and --std" in advice(tensor("input", 1.5, clipped=0.86))[0]


def test_a_network_that_is_well_says_so_and_a_softmax_is_nobodys_fault():
    assert advice(tensor("a", 0.02), tensor("b", 0.4, "a", operator="SOFTMAX"))[0].startswith(
        "no single layer hurts"
    )


def test_names_are_told_by_what_most_of_them_do_not_share():
    found = layers.apart(["net/a/conv/add;net/b", "net/a/conv/Relu6", "net/a/dense/MatMul", "Call:0"])
    assert found == ("conv/add", "conv/Relu6", "dense/MatMul", "Call:0")
    assert layers.apart(["Relu", "x/y"]) == ("Relu", "x/y")
    assert layers.apart(["same/a", "same/a"]) == ("a", "a")


def test_a_long_name_is_cut_at_its_folders():
    assert layers.short("net/" + "f" * 40 + "/relu_1/Relu6;other") == "relu_1/Relu6"
    assert layers.short("f" * 60) == f"...{'f' * 45}"
