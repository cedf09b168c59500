import time
from queue import Empty, SimpleQueue

import pytest

from agent.core.inference.tensors import Preparer
from agent.loops.child import overdue
from agent.loops.child.loading import Loaded
from agent.loops.child.overdue import Overdue
from agent.wire.documents import Dtype, InputContract, OutputContract
from agent.wire.ipc import EdgeTpu, InvokeHangs, ModelSpec
from agent.wire.topics import sha256
from tests.unit.loops.child.test_worker import CLASSES, SquareModel

TICK_S = 0.01


def loaded(edgetpu: EdgeTpu | None, *, first_ms: float = 3.0) -> Loaded:
    model = SquareModel(4)
    spec = ModelSpec(
        name="cats",
        version="1",
        manifest=sha256(b"manifest"),
        digest=sha256(b"model"),
        model_path="model",
        labels_path=None,
        input=InputContract(height_px=4, width_px=4, channels=3, dtype=Dtype.UINT8),
        output=OutputContract(classes=CLASSES, dtype=Dtype.FLOAT32),
        edgetpu=edgetpu,
    )
    preparer = Preparer(spec.input, model.input)
    return Loaded(spec, model, preparer, labels=(), load_ms=1.0, top=1, first_ms=first_ms)


class Bench:
    def __init__(self) -> None:
        self.told: SimpleQueue[InvokeHangs] = SimpleQueue()
        self.watch = Overdue(self.told.put)

    def silent_for(self, seconds: float) -> bool:
        try:
            self.told.get(timeout=seconds)
        except Empty:
            return True
        return False


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(overdue, "TICK_S", TICK_S)
    monkeypatch.setattr("agent.core.serving.overdue.OVERDUE_MIN_S", 20 * TICK_S)
    bench = Bench()
    yield bench
    bench.watch.close()


def test_an_invocation_that_does_not_return_is_told_once(at: Bench) -> None:
    at.watch.watch(loaded(EdgeTpu()))
    at.watch.begin()
    hangs = at.told.get(timeout=5.0)
    assert hangs.manifest == sha256(b"manifest")
    assert hangs.detail == (
        "hung: the Edge TPU has not answered a frame within 0.2 s, where none took longer than 3 ms of late"
    )
    assert at.silent_for(30 * TICK_S)


def test_invocations_that_return_are_none_however_many(at: Bench) -> None:
    at.watch.watch(loaded(EdgeTpu()))
    until = time.monotonic() + 60 * TICK_S
    while time.monotonic() < until:
        at.watch.begin()
        time.sleep(TICK_S)
        at.watch.end(1000 * TICK_S)
    assert at.told.empty()


def test_a_slow_model_is_waited_for_in_proportion(at: Bench) -> None:
    at.watch.watch(loaded(EdgeTpu(), first_ms=1000.0))
    at.watch.begin()
    assert at.silent_for(60 * TICK_S)


def test_the_cpu_is_left_to_the_keeper(at: Bench) -> None:
    at.watch.watch(loaded(EdgeTpu()))
    at.watch.watch(loaded(None))
    at.watch.begin()
    assert at.silent_for(60 * TICK_S)
