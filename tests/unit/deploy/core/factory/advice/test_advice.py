import pytest

from agent.core.tflite import flatmodel
from deploy.core.factory.advice import choosing
from deploy.core.factory.advice.choosing import Outcome, Target
from deploy.core.factory.conversion.words import Quantize
from tests.models import TINY, TINY_FLOAT, TINY_INT8, shared

N, D, F, Q, U, M = (
    Quantize.NONE,
    Quantize.DYNAMIC,
    Quantize.FLOAT16,
    Quantize.INT8,
    Quantize.UINT8,
    Quantize.INT8_FLOAT_IO,
)


def outcomes(**ms: float | None) -> dict[Quantize, Outcome]:
    return {Quantize[name]: Outcome(1000, time, 5) for name, time in ms.items()}


ALL = outcomes(NONE=8.0, DYNAMIC=9.0, FLOAT16=8.0, INT8=3.0)
SLOW_DYNAMIC = outcomes(NONE=8.0, DYNAMIC=14.0, FLOAT16=8.0, INT8=3.0)
PARTLY = outcomes(NONE=8.0, DYNAMIC=9.0, FLOAT16=8.0, INT8_FLOAT_IO=5.0)
QUICK_FLOAT = outcomes(NONE=2.0, DYNAMIC=9.0, FLOAT16=8.0, INT8=3.0)
SMALL = {N: Outcome(900, 1.0, 0), D: Outcome(900, 1.0, 0), F: Outcome(700, 1.0, 0)}
SMALLER_AS_IT_IS = {N: Outcome(900, 1.0, 0), D: Outcome(950, 1.0, 0), F: Outcome(920, 1.0, 0)}
UNTIMED = outcomes(NONE=None, DYNAMIC=None, FLOAT16=None, INT8=None)


@pytest.mark.parametrize(
    ("target", "found", "samples", "budget_ms", "mode"),
    [
        (Target.CPU, ALL, 0, None, D),
        (Target.CPU, SLOW_DYNAMIC, 0, None, F),
        (Target.CPU, UNTIMED, 0, None, D),
        (Target.CPU, outcomes(NONE=8.0, FLOAT16=8.0), 0, None, F),
        (Target.CPU, outcomes(NONE=8.0), 0, None, N),
        (Target.CPU, ALL, 0, 10.0, D),
        (Target.CPU, ALL, 0, 5.0, Q),
        (Target.CPU, ALL, 0, 1.0, D),
        (Target.CPU, SMALL, 0, None, F),
        (Target.CPU, SMALLER_AS_IT_IS, 0, None, N),
        (Target.CPU, ALL, 200, None, Q),
        (Target.CPU, QUICK_FLOAT, 200, 2.5, N),
        (Target.CPU, QUICK_FLOAT, 200, 1.0, Q),
        (Target.CPU, PARTLY, 200, None, M),
        (Target.CPU, {}, 200, None, None),
        (Target.EDGETPU, ALL, 200, None, Q),
        (Target.EDGETPU, ALL, 0, None, Q),
        (Target.EDGETPU, PARTLY, 200, None, None),
        (Target.EDGETPU, {Q: Outcome(1000, 3.0, 0)}, 200, None, None),
        (Target.BOTH, ALL, 200, None, Q),
        (Target.BOTH, {}, 0, None, None),
    ],
)
def test_the_mode_follows_from_target_data_and_time(
    target: Target,
    found: dict[Quantize, Outcome],
    samples: int,
    budget_ms: float | None,
    mode: Quantize | None,
) -> None:
    choice = choosing.choose(target, found, samples, budget_ms)

    assert choice.mode == mode
    assert choice.reasons
    assert (mode is not None) or choice.needs


def test_full_integer_is_called_the_fastest_only_where_it_was() -> None:
    (fast,) = choosing.choose(Target.CPU, ALL, 200, None).reasons
    (slow,) = choosing.choose(Target.CPU, QUICK_FLOAT, 200, None).reasons

    assert "the fastest here" in fast
    assert "took 3 ms here and none 2 ms" in slow
    (even,) = choosing.choose(Target.CPU, outcomes(NONE=2.5, INT8=3.0), 200, None).reasons
    assert "about as fast" in even


@pytest.mark.parametrize(
    ("samples", "said"),
    [(0, "bring representative data, 100 to 500"), (3, "than these 3"), (100, None), (500, None)],
)
def test_a_mode_that_takes_ranges_from_data_says_how_much_is_missing(samples: int, said: str | None) -> None:
    needs = choosing.choose(Target.EDGETPU, ALL, samples, None).needs

    assert [said in need for need in needs if said is not None] == ([] if said is None else [True])
    assert (needs == ()) == (said is None)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (TINY, U),
        (TINY_INT8, Q),
        (TINY_FLOAT, N),
        ("derived_mobilenet_v1_0.25_128_dynrange.tflite", D),
        ("derived_mobilenet_v1_0.25_128_f16.tflite", F),
        ("derived_mobilenet_v1_0.25_128_int8_floatio.tflite", M),
    ],
)
def test_a_file_shows_by_which_mode_it_was_made(name: str, mode: Quantize) -> None:
    assert choosing.mode_of(flatmodel.examine(shared(name).read_bytes())) == mode


@pytest.mark.parametrize(
    ("target", "mode", "mapped", "fits"),
    [
        (Target.CPU, D, 0, True),
        (Target.EDGETPU, D, 0, False),
        (Target.EDGETPU, Q, 31, True),
        (Target.BOTH, U, 31, True),
        (Target.EDGETPU, Q, 0, False),
    ],
)
def test_a_quantized_file_is_judged_as_it_is(target: Target, mode: Quantize, mapped: int, fits: bool) -> None:
    choice = choosing.as_it_is(target, mode, Outcome(1000, 1.0, mapped))

    assert choice.mode == (mode if fits else None)
    assert (choice.needs == ()) == fits


def test_operators_of_tensorflow_have_something_in_their_place_where_it_is_known() -> None:
    assert "tanh" in choosing.instead("FlexErf")
    assert choosing.instead("FlexNobodyKnows") == ""
