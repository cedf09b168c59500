import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deploy.core.factory.conversion import agreeing
from deploy.core.factory.conversion.agreeing import Answered, Unanswered
from deploy.core.factory.conversion.words import Agreement, Quantize

SCORES = arrays.arrays(np.float32, (1, 6), elements=st.floats(-4, 4, width=32))


def answered(parent: object, child: object, name: str = "scores") -> Answered:
    return Answered(parent={name: np.asarray(parent)}, child={name: np.asarray(child)})


def found(mean: float, share: float | None = None) -> Agreement:
    return Agreement(samples=50, difference_max=mean, difference_mean=mean, same_first_share=share)


@given(st.lists(SCORES, min_size=1, max_size=5))
def test_a_model_agrees_with_itself_in_every_mode(outputs: list[np.ndarray]) -> None:
    agreement = agreeing.measure((answered(each, each) for each in outputs), Quantize.NONE)

    assert agreement.difference_max == agreement.difference_mean == 0.0
    assert agreement.same_first_share == 1.0
    assert all(not list(agreeing.faults(mode, agreement, None)) for mode in Quantize)


@given(SCORES, SCORES, st.floats(0.01, 100.0))
def test_the_unit_of_the_answers_does_not_matter(parent: np.ndarray, child: np.ndarray, unit: float) -> None:
    assume(parent.any())
    plain = agreeing.measure([answered(parent.astype(np.float64), child.astype(np.float64))], Quantize.NONE)
    scaled = agreeing.measure(
        [answered(parent.astype(np.float64) * unit, child.astype(np.float64) * unit)], Quantize.NONE
    )

    assert scaled.difference_max == pytest.approx(plain.difference_max, rel=1e-3, abs=1e-6)


def test_distances_are_counted_in_the_range_of_all_that_the_parent_says() -> None:
    pairs = [answered([[0.0, 2.0]], [[0.5, 2.0]]), answered([[4.0, 1.0]], [[4.0, 1.0]])]

    agreement = agreeing.measure(pairs, Quantize.NONE)

    assert agreement == Agreement(
        samples=2, difference_max=0.125, difference_mean=0.0625, same_first_share=1.0
    )


def test_beside_a_parent_that_always_answers_nought_distances_count_as_they_are() -> None:
    agreement = agreeing.measure([answered([[0.0, 0.0]], [[1e-7, 0.0]])], Quantize.NONE)

    assert agreement.difference_max == 1e-7


def test_an_output_that_is_no_row_of_scores_has_no_first_class() -> None:
    picture = np.zeros((1, 4, 4, 2), np.float32)

    assert agreeing.measure([answered(picture, picture)], Quantize.NONE).same_first_share is None


@pytest.mark.parametrize("child", [[[np.nan, 1.0]], [[np.inf, 1.0]], [[1.0, 0.0, 0.0]]])
def test_what_is_no_answer_at_all_is_beyond_every_bound(child: object) -> None:
    agreement = agreeing.measure([answered([[0.0, 1.0]], child)], Quantize.NONE)

    assert list(agreeing.faults(Quantize.INT8, agreement, 1e9))


def test_a_parent_that_answers_no_number_is_named_by_its_output() -> None:
    with pytest.raises(Unanswered, match="scores"):
        agreeing.measure([answered([[np.nan, 1.0]], [[0.0, 1.0]])], Quantize.NONE)


@pytest.mark.parametrize(
    ("mode", "level"),
    [(Quantize.NONE, False), (Quantize.DYNAMIC, False), (Quantize.INT8, True), (Quantize.UINT8, True)],
)
def test_shares_closer_than_the_grid_are_level_where_the_mode_has_that_grid(
    mode: Quantize, level: bool
) -> None:
    untrained = np.full((1, 1000), 0.001, np.float32) + np.linspace(-1e-4, 1e-4, 1000, dtype=np.float32)

    agreement = agreeing.measure([answered(untrained, np.zeros((1, 1000)))], mode)

    assert (list(agreeing.faults(mode, agreement, None)) == []) is level


def test_texts_are_the_same_or_not() -> None:
    same, other = np.array([b"wren"], object), np.array([b"robin"], object)

    assert (
        agreeing.measure([answered(same, same), answered(same, other)], Quantize.NONE).difference_mean == 0.5
    )


def test_of_several_outputs_the_worst_counts() -> None:
    pairs = [
        Answered(
            parent={"a": np.array([[0.0, 1.0]]), "b": np.array([[1.0, 0.0]])},
            child={"a": np.array([[0.0, 1.0]]), "b": np.array([[0.0, 1.0]])},
        )
    ]

    assert agreeing.measure(pairs, Quantize.NONE) == Agreement(
        samples=1, difference_max=1.0, difference_mean=1.0, same_first_share=0.0
    )


@pytest.mark.parametrize(
    ("mode", "agreement", "accepted", "refused"),
    [
        (Quantize.NONE, found(1e-6, 1.0), None, False),
        (Quantize.NONE, found(0.01, 1.0), None, True),
        (Quantize.NONE, found(4e11, 0.1), None, True),
        (Quantize.FLOAT16, found(0.001, 0.99), None, False),
        (Quantize.INT8, found(0.08, 0.93), None, False),
        (Quantize.INT8, found(0.7, 0.1), None, True),
        (Quantize.INT8, found(0.1, 0.1), None, True),
        # Level classes swap places without any loss.
        (Quantize.INT8, found(0.01, 0.4), None, False),
        (Quantize.INT8, found(0.7, 0.1), 0.8, False),
        (Quantize.INT8, found(0.7, 0.1), 0.5, True),
        (Quantize.INT8, found(float("nan")), None, True),
    ],
)
def test_each_mode_explains_so_much_and_the_operator_may_allow_more(
    mode: Quantize, agreement: Agreement, accepted: float | None, refused: bool
) -> None:
    assert bool(list(agreeing.faults(mode, agreement, accepted))) is refused


def test_no_mode_is_allowed_less_than_a_more_exact_one() -> None:
    order = [Quantize.NONE, Quantize.FLOAT16, Quantize.INT16X8, Quantize.INT8]
    bounds = [agreeing.TOLERANCES[mode].difference_mean for mode in order]

    assert bounds == sorted(bounds)
    assert set(agreeing.TOLERANCES) == set(Quantize)
