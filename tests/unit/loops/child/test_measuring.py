import numpy as np

from agent.loops.child.measuring import ROUNDS_MAX, measure
from agent.wire.errors import ModelUnloadable
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import INPUT
from tests.unit.loops.keeping.test_keeper import spec

A, B, C = spec("a"), spec("b"), spec("c")


class Taking:
    """A model each of whose invocations takes so long on the test's clock."""

    input = INPUT

    def __init__(self, clock, *times_ms, fails=False):
        self._clock, self._times_ms, self._fails = clock, list(times_ms), fails
        self.invoked = 0

    def invoke(self, tensor):
        assert (tensor.shape, tensor.dtype) == (INPUT.shape, np.dtype(INPUT.dtype.value))
        if self._fails:
            raise ModelUnloadable("it fails")
        self.invoked += 1
        self._clock.advance(self._times_ms[min(self.invoked, len(self._times_ms)) - 1] / 1000)
        return tensor


def none_here(name):
    raise AssertionError(f"{name} is loaded already")


def ask(clock, loaded, specs=(A, B), budget_s=1.0):
    return measure(specs, dict(zip(specs, loaded, strict=False)), none_here, clock, budget_s)


def test_each_model_is_told_its_own_time_without_its_slow_first_run():
    clock = FakeClock()
    models = Taking(clock, 50.0, 2.0), Taking(clock, 80.0, 3.0)
    assert [round(ms, 6) for ms in ask(clock, models)] == [2.0, 3.0]
    assert [model.invoked for model in models] == [1 + ROUNDS_MAX] * 2


def test_what_else_the_host_does_now_and_then_is_not_held_against_a_model():
    clock = FakeClock()
    models = Taking(clock, 9.0, *[2.0, 30.0] * 20), Taking(clock, 3.0)
    assert [round(ms, 6) for ms in ask(clock, models)] == [2.0, 3.0]


def test_the_budget_is_kept_but_for_one_run_and_who_had_no_turn_is_told_so():
    clock = FakeClock()
    began_ns = clock.monotonic_ns()
    models = Taking(clock, 900.0), Taking(clock, 800.0), Taking(clock, 1.0)
    assert ask(clock, models, (A, B, C)) == (900.0, 800.0, None)
    assert (clock.monotonic_ns() - began_ns) / 1e9 <= 1.0 + 0.9


def test_a_model_that_fails_or_cannot_be_loaded_has_no_time():
    clock = FakeClock()
    assert ask(clock, [Taking(clock, 1.0), Taking(clock, fails=True)])[1] is None
    assert measure((A,), {}, none_here, clock, 1.0) == (None,)
