"""Compiled models on a simulated Edge TPU, through both runtimes."""

import threading
import time

import numpy as np
import pytest

from agent.adapters.edgetpu.delegate import OpenEdgeTpu
from agent.adapters.edgetpu.host import explain
from agent.adapters.runtime_tflite import open_runtime
from agent.core.delegate import RuntimeChoice
from agent.wire.errors import RuntimeMissing
from tests.fakes.tflite import Form, classifier, edgetpu
from tests.models import TINY, picture, shared

IMAGE = Form((1, 2, 2, 3), "uint8", 1 / 16, 3)
SCORES = Form((1, 12), "uint8", 1 / 256, 0)
COMPILED, TWIN = edgetpu(IMAGE, SCORES), classifier(IMAGE, SCORES)
PIXELS = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)


@pytest.fixture(params=[RuntimeChoice.LITERT, RuntimeChoice.TFLITE])
def runtime(request):
    try:
        return open_runtime(request.param, OpenEdgeTpu(explain))
    except RuntimeMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def stick(edgetpus):
    """One USB Edge TPU, and a model for it."""
    edgetpus.pair(COMPILED, TWIN)
    edgetpus.plug()
    return edgetpus


def test_a_compiled_model_computes_what_the_model_does_that_it_was_compiled_from(runtime, stick):
    model = runtime.load(COMPILED, threads=1, edgetpu=stick.edgetpu())
    twin = runtime.load(TWIN, threads=1)

    assert (model.invoke(PIXELS) == twin.invoke(PIXELS)).all()
    assert model.delegate == "edgetpu"
    assert "usb:0 is open (RuntimeVersion(14)): all of it runs there" in model.delegate_reason
    assert model.output.quantization == twin.output.quantization


def test_a_real_compiled_model_knows_a_macaw(runtime, edgetpus):
    compiled = shared(TINY.replace(".tflite", "_edgetpu.tflite")).read_bytes()
    edgetpus.pair(compiled, shared(TINY).read_bytes())
    edgetpus.plug()
    pixels = np.resize(picture("parrot.jpg")[::4, ::4], (1, 128, 128, 3)).astype(np.uint8)

    model = runtime.load(compiled, threads=1, edgetpu=edgetpus.edgetpu())
    twin = runtime.load(shared(TINY).read_bytes(), threads=1)

    ours, theirs = model.invoke(pixels).astype(int), twin.invoke(pixels).astype(int)
    # tflite-runtime's own kernels and XNNPACK differ by a step of the scale.
    assert abs(ours - theirs).max() <= 1


def test_other_threads_run_while_a_slow_device_opens(runtime, stick):
    stick.plug(open_ms=1500)
    beats, done = [], threading.Event()

    def beat():
        while not done.is_set():
            beats.append(time.monotonic())
            done.wait(0.02)

    thread = threading.Thread(target=beat)
    thread.start()
    began = time.monotonic()
    runtime.load(COMPILED, threads=1, edgetpu=stick.edgetpu())
    took = time.monotonic() - began
    done.set()
    thread.join()

    assert took >= 1.5
    within = [at for at in beats if began <= at <= began + took]
    assert max(np.diff([began, *within])) < 0.5
