import pytest
from msgspec.structs import replace

from agent.core.serving import delegate
from agent.core.serving.delegate import Choice, DelegateChoice, Refused
from agent.wire.documents import Artifact, Delegate, Variant
from agent.wire.reasons import Reason
from agent.wire.topics import sha256

LITERT, TFLITE = "ai-edge-litert 2.3.0", "tflite-runtime 2.14.0"


def variant(kind, file="x.tflite", minimum=None):
    return Variant(
        artifact=Artifact(digest=sha256(file.encode()), length=1, chunks=()),
        file=file,
        delegate=kind,
        minimum_runtime=minimum,
    )


CPU = variant(Delegate.CPU)
TPU = variant(Delegate.EDGETPU, "x_edgetpu.tflite")


@pytest.mark.parametrize(
    ("variants", "present", "chosen", "words"),
    [
        ([CPU, TPU], True, TPU, "compiled for the Edge TPU, and there is one here"),
        ([CPU, TPU], False, CPU, "no Edge TPU here"),
        ([TPU, CPU], False, CPU, "no Edge TPU here"),
        ([CPU], True, CPU, "compile the model to use it"),
        ([CPU], False, CPU, "no Edge TPU here"),
        ([TPU], True, TPU, "there is one here"),
    ],
)
def test_a_variant_is_chosen_by_what_it_is_and_what_is_here(variants, present, chosen, words):
    choice = delegate.choose(variants, edgetpu_present=present, runtime_version=LITERT)

    assert isinstance(choice, Choice)
    assert choice.variant is chosen
    assert words in choice.reason


def test_a_release_that_is_only_compiled_is_refused_without_an_edge_tpu():
    refused = delegate.choose([TPU], edgetpu_present=False, runtime_version=LITERT)

    assert isinstance(refused, Refused)
    assert refused.reason is Reason.NEEDS_EDGETPU
    assert "x_edgetpu.tflite" in refused.detail


def test_a_runtime_that_is_too_old_is_told_with_both_versions():
    new = replace(variant(Delegate.CPU, minimum="2.17.0"), runtime_reason="FULLY_CONNECTED version 12")

    assert delegate.choose([new], edgetpu_present=False, runtime_version=TFLITE) == Refused(
        Reason.RUNTIME_TOO_OLD,
        "x.tflite needs runtime 2.17.0 (FULLY_CONNECTED version 12); this device has tflite-runtime 2.14.0",
    )
    assert isinstance(delegate.choose([new], edgetpu_present=False, runtime_version=LITERT), Choice)


def test_a_compiled_variant_that_needs_a_newer_runtime_leaves_the_cpu():
    new = variant(Delegate.EDGETPU, "x_edgetpu.tflite", minimum="2.16.0")

    choice = delegate.choose([new, CPU], edgetpu_present=True, runtime_version=TFLITE)

    assert isinstance(choice, Choice)
    assert choice.variant is CPU
    assert "newer runtime" in choice.reason


NEWER_CPU = variant(Delegate.CPU, "y.tflite", minimum="ai-edge-litert 9.0")
OTHER_CPU = variant(Delegate.CPU, "z.tflite")


@pytest.mark.parametrize(
    ("variants", "bad", "chosen", "twin", "words"),
    [
        ([CPU, TPU], [], TPU, CPU, "there is one here"),
        ([TPU, NEWER_CPU, OTHER_CPU], [], TPU, OTHER_CPU, "there is one here"),
        ([TPU, CPU, OTHER_CPU], [CPU], TPU, OTHER_CPU, "there is one here"),
        ([TPU], [], TPU, None, "there is one here"),
        ([TPU, CPU], [TPU], CPU, None, "has failed on this device"),
        ([TPU, CPU], [TPU, CPU], TPU, CPU, "there is one here"),
        ([TPU], [TPU], TPU, None, "there is one here"),
    ],
)
def test_a_compiled_variant_brings_its_twin_and_what_failed_here_is_passed_over(
    variants, bad, chosen, twin, words
):
    choice = delegate.choose(
        variants,
        edgetpu_present=True,
        runtime_version=LITERT,
        bad={variant.artifact.digest for variant in bad},
    )

    assert isinstance(choice, Choice)
    assert (choice.variant, choice.twin) == (chosen, twin)
    assert words in choice.reason


@pytest.mark.parametrize("present", [True, False])
def test_a_device_that_is_told_to_use_the_cpu_does(present):
    ask = {"edgetpu_present": present, "runtime_version": LITERT, "wanted": DelegateChoice.CPU}

    assert delegate.choose([TPU, CPU], **ask) == Choice(CPU, "runtime.delegate is cpu: the CPU variant")
    assert delegate.choose([TPU], **ask).reason is Reason.NEEDS_EDGETPU


@pytest.mark.parametrize(
    ("wanted", "there", "allotted"),
    [
        ([""], [], [""]),
        (["", ""], ["usb:0"], ["", ""]),
        (["", ""], ["usb:0", "usb:1"], ["usb:0", "usb:1"]),
        (["", "usb:0"], ["usb:0", "usb:1"], ["usb:1", "usb:0"]),
        (["", "", ""], ["usb:0", "pci:0"], ["usb:0", "pci:0", ""]),
    ],
)
def test_pipelines_open_different_edge_tpus_where_there_are_several(wanted, there, allotted):
    assert delegate.allot(wanted, there) == tuple(allotted)


@pytest.mark.parametrize(
    ("minimum", "runtime", "enough"),
    [
        (None, "", True),
        ("1.5.0", TFLITE, True),
        ("2.14", TFLITE, True),
        ("2.14.0", TFLITE, True),
        ("2.14.1", TFLITE, False),
        ("2.9.0", TFLITE, True),
        ("2.18.0", LITERT, True),
        ("2.30.0", LITERT, True),
        ("2.21.0", "ai-edge-litert 2.1.5", True),
        ("2.22.0", "ai-edge-litert 2.1.5", False),
        ("2.17.0", "ai-edge-litert 1.4.0", True),
        ("2.20.0", "ai-edge-litert 1.4.0", False),
        ("2.16.1", "ai-edge-litert 1.0.1", True),
        ("1.5.0", "ai-edge-litert 0.9", False),
        ("ai-edge-litert 2.3", LITERT, True),
        ("ai-edge-litert 2.4.0", LITERT, False),
        ("ai-edge-litert 1.0", TFLITE, False),
        ("tflite-runtime 2.5.0", TFLITE, True),
        ("soon", LITERT, False),
        ("1.5.0", "", False),
        ("2.14.0", "2.14.0", True),
        ("2.14.0", "tflite-runtime 2.14.0.dev20240101", True),
    ],
)
def test_versions_are_compared_within_one_family_and_what_cannot_be_compared_holds(minimum, runtime, enough):
    assert delegate.runs(minimum, runtime) is enough
