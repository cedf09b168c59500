"""Compiled models on a simulated Edge TPU, through both runtimes."""

import fcntl
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from agent.adapters.edgetpu.delegate import OpenEdgeTpu
from agent.adapters.edgetpu.host import explain
from agent.adapters.runtime_tflite import open_runtime
from agent.core.edgetpu import symptoms
from agent.core.serving.delegate import RuntimeChoice
from agent.wire.errors import DelegateUnavailable, ModelUnloadable, RuntimeMissing
from agent.wire.ipc import EdgeTpu
from tests.fakes.tflite import CUSTOM, RESHAPE, Form, Operator, Sketch, build, classifier, edgetpu
from tests.models import FULL, TINY, picture, shared

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


@pytest.mark.parametrize("name", [TINY, FULL, "keras_lstm_mnist_ptq.tflite"])
def test_real_compiled_models_compute_what_their_twins_do(runtime, edgetpus, name):
    original = shared(name).read_bytes()
    compiled = shared(name.replace(".tflite", "_edgetpu.tflite")).read_bytes()
    edgetpus.pair(compiled, original)
    edgetpus.plug()
    model = runtime.load(compiled, threads=1, edgetpu=edgetpus.edgetpu())
    pixels = np.resize(picture("parrot.jpg")[::3, ::3], model.input.shape).astype(np.uint8)

    for frame in (pixels, 255 - pixels, pixels):
        assert (model.invoke(frame) == computed(runtime, original, frame)).all()


def computed(runtime, content, frame):
    """By a fresh interpreter as the twin's is: XNNPACK made by hand rounds otherwise."""
    interpreter = runtime._module.Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], frame)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


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


@pytest.mark.parametrize(
    ("state", "device", "words"),
    [
        ({}, "", "no Edge TPU is plugged in"),
        ({"pci": 1}, "usb", "there is no Edge TPU 'usb' here, only pci:0: change runtime.edgetpu_device"),
        ({"usb": 1}, "usb:2", "there is no Edge TPU 'usb:2' here, only usb:0"),
        ({"usb": 1, "mute": 1}, "", "is there and permitted, but does not open: unplug it"),
        ({"usb": 1, "fault": "datatype"}, "", "does not understand the tensors of .*: .*16.0TF2.19.1"),
        ({"usb": 1, "fault": "version"}, "", "compiled for Edge TPU runtime 14, and this libedgetpu has 13"),
    ],
)
def test_an_edge_tpu_that_is_not_to_be_had_says_nothing_against_the_model(
    runtime, stick, state, device, words
):
    stick.set(**state)

    text = refused(runtime, stick.edgetpu(device))

    assert re.search(words, text)
    assert "\n" not in text
    assert free(stick.path("usb:0"))


def refused(runtime, device):
    """The reason. The exception itself would keep the failed load's frames, and the device with them."""
    try:
        runtime.load(COMPILED, threads=1, edgetpu=device)
    except DelegateUnavailable as refusal:
        return str(refusal)
    pytest.fail("it was loaded")


def test_a_library_that_is_none_is_told_from_one_that_is_not_there(runtime, stick, tmp_path):
    text = tmp_path / "libedgetpu.so"
    text.write_text("not a library")
    libraries = stick.libraries
    cases = {
        "libedgetpu-none.so.9": "libedgetpu-none.so.9 is not installed: install a libedgetpu1-std",
        str(text): "is no library for this machine .*file too short",
        str(libraries.bare): "no Edge TPU delegate .no tflite_plugin_create_delegate",
        str(libraries.without_libusb): "needs libusb-absent.so.0: .*: apt install libusb-1.0-0",
    }

    for library, words in cases.items():
        with pytest.raises(DelegateUnavailable, match=words):
            runtime.load(COMPILED, threads=1, edgetpu=EdgeTpu(library=library))


def test_without_a_device_in_the_settings_a_compiled_model_is_refused(runtime, stick):
    with pytest.raises(ModelUnloadable, match="use the variant that is not compiled"):
        runtime.load(COMPILED, threads=1)
    assert stick.asked() == []


def test_a_model_that_is_not_compiled_leaves_the_edge_tpu_alone(runtime, stick):
    model = runtime.load(TWIN, threads=1, edgetpu=stick.edgetpu())

    assert model.delegate == "xnnpack"
    assert stick.asked() == []


def test_a_device_that_another_process_has_open_is_busy_and_named(runtime, stick):
    stick.plug(usb=2)
    with stick.held("usb:0") as holder:
        with pytest.raises(
            DelegateUnavailable, match=rf"is open in process {holder} \(.*\): end that process"
        ):
            runtime.load(COMPILED, threads=1, edgetpu=stick.edgetpu("usb:0"))
        model = runtime.load(COMPILED, threads=1, edgetpu=stick.edgetpu())
        assert model.invoke(PIXELS).sum() > 0
        assert "one of usb:0, usb:1" in model.delegate_reason


@pytest.mark.parametrize(
    ("device", "performance", "asked"),
    [
        ("", "max", ""),
        ("usb", "max", "device=usb"),
        ("usb:1", "max", "device=usb:1"),
        ("usb:1", "low", "device=usb:1 Performance=Low"),
        (":0", "medium", "device=:0 Performance=Medium"),
        ("usb", "high", "device=usb:0 Performance=High"),
    ],
)
def test_performance_is_asked_for_with_a_number_since_it_is_not_read_without(
    runtime, stick, device, performance, asked
):
    stick.plug(usb=2)

    runtime.load(COMPILED, threads=1, edgetpu=stick.edgetpu(device, performance))

    assert stick.asked() == [asked]


def test_a_device_is_free_when_its_last_model_is_gone(runtime, stick):
    first = runtime.load(COMPILED, threads=1, edgetpu=stick.edgetpu())
    second = runtime.load(COMPILED, threads=1, edgetpu=stick.edgetpu())
    assert not free(stick.path("usb:0"))
    expected = first.invoke(PIXELS)

    del first

    assert not free(stick.path("usb:0"))
    assert (second.invoke(PIXELS) == expected).all()
    del second
    assert free(stick.path("usb:0"))


def free(path):
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_a_device_lost_in_the_middle_fails_the_run_and_serves_again_once_it_is_back(runtime, stick):
    model = runtime.load(COMPILED, threads=1, edgetpu=stick.edgetpu())
    expected = model.invoke(PIXELS)

    stick.unplug(loss="error")
    with pytest.raises(
        DelegateUnavailable, match=r"the Edge TPU failed in the middle: .*USB transfer error 2"
    ):
        model.invoke(PIXELS)
    with pytest.raises(DelegateUnavailable, match="no Edge TPU is plugged in"):
        runtime.load(COMPILED, threads=1, edgetpu=stick.edgetpu())
    stick.plug()

    again = runtime.load(COMPILED, threads=1, edgetpu=stick.edgetpu())
    assert (again.invoke(PIXELS) == expected).all()


def test_operators_that_the_compiler_left_to_the_cpu_are_counted(runtime, stick):
    half = Form((1, 12), "uint8", 1 / 256, 0)
    partly = build(
        Sketch(
            (IMAGE, SCORES, half),
            (Operator(CUSTOM, (0,), (1,), "edgetpu-custom-op"), Operator(RESHAPE, (1,), (2,))),
        )
    )

    model = runtime.load(partly, threads=1, edgetpu=stick.edgetpu())

    assert "1 of 2 operators run there, 1 RESHAPE on the CPU" in model.delegate_reason
    assert model.invoke(PIXELS).shape == (1, 12)


LOAD = """
import sys
import numpy as np
from agent.adapters.edgetpu.delegate import OpenEdgeTpu
from agent.adapters.edgetpu.host import explain
from agent.adapters.runtime_tflite import open_runtime
from agent.core.serving.delegate import RuntimeChoice
from agent.wire.ipc import EdgeTpu
runtime = open_runtime(RuntimeChoice(sys.argv[1]), OpenEdgeTpu(explain))
model = runtime.load(open(sys.argv[3], "rb").read(), threads=1, edgetpu=EdgeTpu(library=sys.argv[2]))
print("loaded", flush=True)
sys.stdin.readline()
model.invoke(np.zeros(model.input.shape, np.uint8))
print("answered", flush=True)
"""


@pytest.mark.parametrize(
    ("before", "between", "said", "killer"),
    [
        ({"usb": 1}, {"usb": 1}, ["loaded", "answered"], None),
        ({"usb": 1}, {"usb": 0, "loss": "abort"}, ["loaded"], signal.SIGABRT),
        ({"usb": 1, "fault": "create"}, {}, [], signal.SIGSEGV),
        ({"usb": 1, "fault": "prepare"}, {}, [], signal.SIGSEGV),
    ],
)
def test_what_kills_a_process_kills_this_one_as_the_real_library_does(
    runtime, stick, tmp_path, before, between, said, killer
):
    choice = RuntimeChoice.LITERT if "litert" in runtime.name else RuntimeChoice.TFLITE
    path = tmp_path / "x_edgetpu.tflite"
    path.write_bytes(COMPILED)
    stick.set(**before)
    with subprocess.Popen(
        [sys.executable, "-c", LOAD, choice.value, stick.library, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        first = child.stdout.readline()
        stick.set(**between)
        rest, errors = child.communicate("go\n" if first else None, timeout=20)

    assert (first + rest).split() == said
    assert child.returncode == (0 if killer is None else -killer)
    words = [what for what in map(symptoms.lost, errors.splitlines()) if what]
    assert len(words) == (killer is signal.SIGABRT)
