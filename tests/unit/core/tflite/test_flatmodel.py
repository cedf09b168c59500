import struct
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.tflite import flatmodel
from agent.core.tflite.flatmodel import Arithmetic, OperatorCount
from agent.wire.documents import Normalization, Quantization
from agent.wire.errors import Malformed
from tests.fakes.tflite import (
    CUSTOM,
    RESHAPE,
    SOFTMAX,
    Card,
    Form,
    Operator,
    Sketch,
    build,
    card,
    classifier,
    edgetpu,
)

MODELS = Path(__file__).parents[5] / "shared" / "models"

IMAGE = Form((1, 2, 2, 3), "uint8", 1 / 128, 128)
SCORES = Form((1, 12), "uint8", 1 / 256, 0)
TINY = classifier(
    IMAGE,
    SCORES,
    metadata={
        "min_runtime_version": b"1.14.0".ljust(16, b"\0"),
        "TFLITE_METADATA": card(Card(mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))),
    },
    files={"labels.txt": b"cat\ndog\n"},
    signatures=("serving_default",),
)


def test_a_model_tells_its_tensors_operators_and_card():
    facts = flatmodel.examine(TINY)

    assert [(t.name, t.shape, t.dtype, t.quantization) for t in (*facts.inputs, *facts.outputs)] == [
        ("tensor 0", (1, 2, 2, 3), "uint8", Quantization(scale=1 / 128, zero_point=128)),
        ("tensor 2", (1, 12), "uint8", Quantization(scale=1 / 256, zero_point=0)),
    ]
    assert facts.operators == (OperatorCount("RESHAPE", 1), OperatorCount("SOFTMAX", 1))
    assert facts.output_operator == "SOFTMAX"
    assert facts.minimum_runtime == "1.14.0"
    assert facts.signatures == ("serving_default",)
    assert facts.metadata == ("min_runtime_version", "TFLITE_METADATA")
    assert facts.files == ("labels.txt",)
    assert facts.length_bytes == len(TINY)
    assert (facts.subgraphs, facts.tensors, facts.edgetpu, facts.stateful) == (1, 3, False, False)
    assert facts.card is not None
    assert (facts.card.name, facts.card.licence, facts.card.labels_file) == (
        "Tiny",
        "Apache-2.0",
        "labels.txt",
    )
    assert facts.card.normalization == Normalization(mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))


def test_a_compiled_model_is_told_by_its_custom_operator():
    facts = flatmodel.examine(edgetpu(IMAGE, SCORES))

    assert facts.edgetpu
    assert facts.custom_operators == ("edgetpu-custom-op",)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0, "ADD"),
        (25, "SOFTMAX"),
        (126, "BATCH_MATMUL"),
        (150, "GELU"),
        (9_000, "BUILTIN_9000"),
    ],
)
def test_operators_go_by_their_names_and_unknown_ones_by_their_number(code, name):
    facts = flatmodel.examine(build(Sketch((IMAGE, SCORES), (Operator(code, (0,), (1,)),))))

    assert facts.operators == (OperatorCount(name, 1),)


REAL = Form((1, 4), "float32")
INT8 = Form((1, 4), "int8", 1 / 256, -128)


@pytest.mark.parametrize(
    ("tensors", "operators", "arithmetic"),
    [
        ((REAL, REAL), [(SOFTMAX, 0, 1)], Arithmetic.FLOAT32),
        ((INT8, INT8), [(SOFTMAX, 0, 1)], Arithmetic.INTEGER),
        ((IMAGE, INT8, REAL), [(SOFTMAX, 0, 1), (6, 1, 2)], Arithmetic.INTEGER),
        ((REAL, INT8, INT8), [(114, 0, 1), (SOFTMAX, 1, 2)], Arithmetic.INTEGER),
        ((INT8, INT8, REAL), [(SOFTMAX, 0, 1), (0, 1, 2)], Arithmetic.MIXED),
        (
            (Form((1, 4), "int16", 1 / 32768), Form((1, 4), "int16", 1 / 32768)),
            [(SOFTMAX, 0, 1)],
            Arithmetic.INT16X8,
        ),
        ((REAL, REAL, Form((4,), "int8", 0.1, constant=True)), [(SOFTMAX, 0, 1)], Arithmetic.DYNAMIC),
        ((REAL, REAL, Form((4,), "float16", constant=True)), [(SOFTMAX, 0, 1)], Arithmetic.FLOAT16),
    ],
)
def test_arithmetic_is_judged_by_what_the_operators_produce(tensors, operators, arithmetic):
    steps = tuple(Operator(code, (taken,), (given_,)) for code, taken, given_ in operators)

    assert flatmodel.examine(build(Sketch(tensors, steps))).arithmetic is arithmetic


def test_the_output_operator_is_seen_through_reshapes_and_dequantisation():
    tensors = (INT8, INT8, INT8, REAL)
    steps = (Operator(SOFTMAX, (0,), (1,)), Operator(RESHAPE, (1,), (2,)), Operator(6, (2,), (3,)))

    assert flatmodel.examine(build(Sketch(tensors, steps))).output_operator == "SOFTMAX"


def test_a_graph_that_computes_a_tensor_from_itself_ends_the_walk():
    looped = build(Sketch((REAL, REAL), (Operator(RESHAPE, (1,), (1,)),)))

    assert flatmodel.examine(looped).output_operator == "RESHAPE"


def test_variables_make_a_model_stateful():
    tensors = (REAL, REAL, Form((1, 4), "float32", variable=True))

    assert flatmodel.examine(build(Sketch(tensors, (Operator(SOFTMAX, (0, 2), (1,)),)))).stateful


def test_a_damaged_card_or_archive_is_no_fault_of_the_model():
    broken = (
        classifier(IMAGE, SCORES, metadata={"TFLITE_METADATA": b"\xff\xff\xff\xffM001"})
        + b"PK\x05\x06 not a zip"
    )

    facts = flatmodel.examine(broken)

    assert (facts.card, facts.files) == (None, ())


@pytest.mark.parametrize("std", [(0.0,), (float("nan"),), (1.0, 2.0)])
def test_an_unusable_normalization_is_left_out(std):
    facts = flatmodel.examine(
        classifier(IMAGE, SCORES, metadata={"TFLITE_METADATA": card(Card(mean=(1.0,), std=std))})
    )

    assert facts.card is not None
    assert facts.card.normalization is None


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), -1.0])
def test_an_unusable_scale_is_no_quantization(scale):
    facts = flatmodel.examine(classifier(Form((1, 2, 2, 3), "uint8", scale, 3), SCORES))

    assert facts.inputs[0].quantization is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a TFLite model"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "not a TFLite model"),
        (b"\x08\0\0\0TFL3", "outside its 8 bytes"),
        (TINY[:200], "truncated"),
        (struct.pack("<I4sHHi", 12, b"TFL3", 4, 4, 4), "schema version 0"),
        (build(Sketch((IMAGE, SCORES), (Operator(RESHAPE, (7,), (1,)),))), "tensor 7 is referred to"),
        (build(Sketch((IMAGE, SCORES), (), inputs=(-5,))), "tensor -5 is referred to"),
    ],
)
def test_what_is_no_model_is_refused_in_words(content, words):
    with pytest.raises(Malformed, match=words):
        flatmodel.examine(content)


def _outcome(content: bytes) -> str:
    try:
        flatmodel.examine(content)
        flatmodel.buffers(content)
    except Malformed as error:
        return str(error)
    return ""


def test_every_truncation_is_refused_or_loses_only_the_appended_archive():
    whole = flatmodel.examine(TINY)
    end = TINY.index(b"PK\x03\x04")
    for length in range(len(TINY)):
        if _outcome(TINY[:length]) == "":
            assert length >= end
            assert flatmodel.examine(TINY[:length]).operators == whole.operators


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_behind_the_identifier_never_surprise(tail):
    _outcome(struct.pack("<I", 8) + b"TFL3" + tail)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(TINY) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_model_with_changed_bytes_is_read_or_refused_and_nothing_else(changes):
    content = bytearray(TINY)
    for at, value in changes:
        content[at] = value
    _outcome(bytes(content))


def test_a_small_file_that_pretends_to_hold_millions_of_tables_is_refused_in_good_time():
    began = monotonic()
    # A vector of 60,000 graphs that are all the same graph of 60,000 tensors, all the same tensor.
    assert "more than" in _outcome(_aliased(60_000))
    assert "more than" in _outcome(_aliased(2_000))
    assert monotonic() - began < 20


def _aliased(count: int) -> bytes:
    """Hand-made: root table, one vector of `count` offsets to one graph, one of `count` to one tensor."""
    head = bytearray(b"\0" * 8)
    head[4:8] = b"TFL3"
    root_vtable = struct.pack("<HHHHH", 10, 12, 4, 0, 8)  # version, no codes, subgraphs
    graph_vtable = struct.pack("<HHH", 6, 8, 4)  # tensors
    tensor_vtable = struct.pack("<HH", 4, 4)
    out = bytearray(head)

    def put(content: bytes) -> int:
        while len(out) % 4:
            out.append(0)
        at = len(out)
        out.extend(content)
        return at

    tensor_v = put(tensor_vtable)
    graph_v = put(graph_vtable)
    root_v = put(root_vtable)
    root = put(struct.pack("<iII", 0, 3, 0))
    struct.pack_into("<i", out, root, root - root_v)
    struct.pack_into("<I", out, 0, root)
    graphs = put(struct.pack("<I", count) + bytes(4 * count))
    struct.pack_into("<I", out, root + 8, graphs - (root + 8))
    graph = put(struct.pack("<iI", 0, 0))
    struct.pack_into("<i", out, graph, graph - graph_v)
    tensors = put(struct.pack("<I", count) + bytes(4 * count))
    struct.pack_into("<I", out, graph + 4, tensors - (graph + 4))
    tensor = put(struct.pack("<i", 0))
    struct.pack_into("<i", out, tensor, tensor - tensor_v)
    for vector, target in ((graphs, graph), (tensors, tensor)):
        for slot in range(vector + 4, vector + 4 + 4 * count, 4):
            struct.pack_into("<I", out, slot, target - slot)
    return bytes(out)


def test_buffers_are_the_constant_bytes_in_the_order_of_the_file():
    weights = Form((4,), "int8", 0.1, constant=True)
    content = build(
        Sketch((REAL, REAL, weights), (Operator(CUSTOM, (0, 2), (1,), "x"),), metadata={"m": b"abc"})
    )

    spans = flatmodel.buffers(content)

    assert sorted(content[start : start + length] for start, length in spans) == [bytes(64), b"abc"]
    assert list(spans) == sorted(spans)


@pytest.mark.parametrize(
    ("name", "arithmetic", "compiled", "labels"),
    [
        ("mobilenet_v2_1.0_224_quant", Arithmetic.INTEGER, False, True),
        ("mobilenet_v2_1.0_224_quant_edgetpu", Arithmetic.INTEGER, True, True),
        ("tf2_mobilenet_v2_1.0_224_ptq", Arithmetic.INTEGER, False, True),
        ("derived_mobilenet_v1_0.25_128_int8_floatio", Arithmetic.INTEGER, False, False),
        ("derived_mobilenet_v1_0.25_128_dynrange", Arithmetic.DYNAMIC, False, False),
        ("derived_mobilenet_v1_0.25_128_f16", Arithmetic.FLOAT16, False, False),
        ("derived_mobilenet_v1_0.25_128_f32", Arithmetic.FLOAT32, False, False),
        ("keras_lstm_mnist_ptq", Arithmetic.INTEGER, False, False),
        ("ssd_postprocess_head_only", Arithmetic.MIXED, False, False),
    ],
)
def test_real_models_are_read_rightly(name, arithmetic, compiled, labels):
    path = MODELS / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"the shared test models are not beside this repository ({path.name})")

    facts = flatmodel.examine(path.read_bytes())

    assert (facts.arithmetic, facts.edgetpu, bool(facts.files)) == (arithmetic, compiled, labels)
    assert facts.stateful == (name == "keras_lstm_mnist_ptq")
