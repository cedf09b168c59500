"""What is made of the factory's answers; the converter itself is asked in tests/factory."""

from pathlib import Path

import pytest

from deploy.assemble.factory import advising, timing
from deploy.assemble.factory.advising import Request
from deploy.core.factory.advice import choosing
from deploy.core.factory.advice.choosing import Target
from deploy.core.factory.advice.document import Advised
from deploy.core.factory.advice.words import Describe, Described, Tried
from deploy.core.factory.conversion.words import Quantize, Signature, TensorForm
from deploy.core.factory.died import FactoryDied
from deploy.core.factory.orders import Answer, Order
from deploy.core.factory.words import Look, Progress
from deploy.ports.factory import OnProgress
from tests.models import TINY_FLOAT, TINY_INT8, shared

FLOAT64 = TensorForm(name="image", shape=(1, 128, 128, 3), dtype="float64")
FILES = {
    Quantize.NONE: TINY_FLOAT,
    Quantize.DYNAMIC: "derived_mobilenet_v1_0.25_128_dynrange.tflite",
    Quantize.FLOAT16: "derived_mobilenet_v1_0.25_128_f16.tflite",
    Quantize.INT8: TINY_INT8,
}


class Converters:
    """A factory that has real files for its modes, refuses some and dies of others."""

    def __init__(self, dies: frozenset[Quantize] = frozenset(), refuses: dict[Quantize, str] | None = None):
        self.orders: list[Describe] = []
        self._dies = dies
        self._refuses = refuses or {}

    def carry_out(self, order: Order, on_progress: OnProgress) -> Answer:
        assert isinstance(order, Describe)
        self.orders.append(order)
        on_progress(Progress(what="opening the source"))
        return Described(
            signatures=(Signature(name="serve", inputs=(FLOAT64,), outputs=()),),
            samples=0,
            tried=tuple(self._tried(mode, on_progress) for mode in order.modes),
        )

    def _tried(self, mode: Quantize, on_progress: OnProgress) -> Tried:
        on_progress(Progress(what=choosing.trying(mode)))
        if mode in self._dies:
            raise FactoryDied("it died of SIGSEGV")
        if mode in self._refuses:
            return Tried(mode=mode, refusal=self._refuses[mode])
        return Tried(mode=mode, file=str(shared(FILES[mode])), timed=None)


def advised(factory: Converters, tmp_path: Path, target: Target = Target.BOTH) -> Advised:
    source = tmp_path / "birds.keras"
    source.touch()
    request = Request(source=str(source), target=target, look=Look(), shapes={}, budget_ms=5.0)
    return advising.advise(request, [].append, factory)


def test_sizes_inputs_and_the_edge_tpu_s_share_are_read_from_what_was_made(tmp_path: Path) -> None:
    found = advised(Converters(), tmp_path)

    assert found.convertible
    assert {mode.mode: mode.float_share for mode in found.modes} == {
        Quantize.NONE: 1.0,
        Quantize.DYNAMIC: pytest.approx(0.287, abs=0.001),
        Quantize.FLOAT16: pytest.approx(0.507, abs=0.001),
        Quantize.INT8: pytest.approx(0.309, abs=0.001),
    }
    assert [(each.shape, each.dtype) for each in found.modes[-1].inputs] == [((1, 128, 128, 3), "int8")]
    assert found.edgetpu is not None
    assert (found.edgetpu.mapped, found.edgetpu.operators) == (31, 31)
    assert found.mode is Quantize.INT8
    assert any("float64" in change for change in found.changes)


def test_the_edge_tpu_is_spared_the_modes_that_it_never_takes(tmp_path: Path) -> None:
    factory = Converters()

    advised(factory, tmp_path, Target.EDGETPU)

    assert factory.orders[0].modes == (Quantize.NONE, Quantize.INT8)


def test_a_mode_that_kills_the_converter_is_said_and_the_others_are_still_tried(tmp_path: Path) -> None:
    factory = Converters(dies=frozenset({Quantize.INT8, Quantize.DYNAMIC}))

    found = advised(factory, tmp_path, Target.CPU)

    assert {mode.mode: mode.refusal for mode in found.modes} == {
        Quantize.NONE: "",
        Quantize.FLOAT16: "",
        Quantize.DYNAMIC: "it died of SIGSEGV",
        Quantize.INT8: "it died of SIGSEGV",
    }
    assert found.mode is Quantize.FLOAT16
    assert len(factory.orders) == 3


def test_a_death_before_any_mode_is_told_as_it_is(tmp_path: Path) -> None:
    class Dead(Converters):
        def carry_out(self, order: Order, on_progress: OnProgress) -> Answer:
            on_progress(Progress(what=f"opening {order}"))
            raise FactoryDied("it was killed")

    with pytest.raises(FactoryDied, match="it was killed"):
        advised(Dead(), tmp_path)


def test_without_full_integer_nothing_is_advised_for_an_edge_tpu(tmp_path: Path) -> None:
    found = advised(Converters(refuses={Quantize.INT8: "there is no integer form of SIN"}), tmp_path)

    assert found.mode is None
    assert found.edgetpu is None
    assert found.budget is not None
    assert found.budget.found_ms is None


def test_times_are_measured_on_the_runtime_of_devices() -> None:
    timed = timing.fastest(shared(TINY_INT8).read_bytes())

    assert timed.runtime.startswith("ai-edge-litert")
    assert timed.calls >= 3
    assert timed.least_ms > 0.0


def test_what_no_runtime_takes_is_said_and_not_timed() -> None:
    timed = timing.fastest(shared("model_invoking_error.tflite").read_bytes())

    assert timed.calls == 0
    assert "fake-op-double" in timed.fault
