import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.serving.delegate import RuntimeChoice
from agent.core.teaching import cutting, head
from agent.core.tflite import flatgraph, flatmodel, probe_model
from agent.wire.errors import Malformed
from tests.fakes.tflite import adder, dense
from tests.models import FULL, TINY, TINY_FLOAT, TINY_INT8, installed, shared

MODELS = [TINY, TINY_INT8, TINY_FLOAT, FULL, "derived_mobilenet_v1_0.25_128_f16.tflite"]
RUNTIMES = [RuntimeChoice.LITERT, RuntimeChoice.TFLITE]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_written_anew_answers_as_before_in_both_runtimes(runtime, name):
    content = shared(name).read_bytes()
    anew = flatgraph.written(flatgraph.opened(content))
    opened = installed(runtime)
    before, after = opened.load(content, threads=1), opened.load(anew, threads=1)
    tensor = np.random.default_rng(3).integers(0, 100, before.input.shape).astype(before.input.dtype.value)
    np.testing.assert_array_equal(before.invoke(tensor), after.invoke(tensor))


@pytest.mark.parametrize("name", MODELS)
def test_what_was_written_anew_is_written_the_same_again(name):
    content = shared(name).read_bytes()
    anew = flatgraph.written(flatgraph.opened(content))
    assert flatgraph.written(flatgraph.opened(anew)) == anew
    before, after = flatmodel.examine(content), flatmodel.examine(anew)
    assert (before.inputs, before.outputs, before.operators) == (after.inputs, after.outputs, after.operators)
    assert (before.arithmetic, before.minimum_runtime) == (after.arithmetic, after.minimum_runtime)


def test_what_the_part_does_not_need_is_left_out():
    content = shared(FULL).read_bytes()
    graph = flatgraph.opened(content)
    part = cutting.cut(graph, cutting.find(graph, None))
    assert len(flatgraph.written(part)) < len(content) - 1001 * 1280


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", MODELS)
def test_unit_embeddings_have_length_one_in_both_runtimes(runtime, name):
    graph = flatgraph.opened(shared(name).read_bytes())
    unit = head.with_unit(cutting.cut(graph, cutting.find(graph, None)))
    model = installed(runtime).load(flatgraph.written(unit), threads=1)
    tensor = np.random.default_rng(3).integers(0, 100, model.input.shape).astype(model.input.dtype.value)
    assert np.linalg.norm(model.invoke(tensor)) == pytest.approx(1.0, abs=1e-5)


@given(st.integers(0, len(probe_model.content())))
def test_a_truncated_model_is_refused(length):
    content = probe_model.content()[:length]
    try:
        flatgraph.written(flatgraph.opened(content))
    except Malformed:
        return
    assert length == len(probe_model.content())


def test_options_of_a_form_that_is_not_known_are_refused_by_name(monkeypatch):
    monkeypatch.setattr(flatgraph, "_OPTIONS_KNOWN", 0)
    with pytest.raises(Malformed, match="FULLY_CONNECTED has options of a newer form"):
        flatgraph.written(flatgraph.opened(dense(1, "float32")))


@pytest.mark.parametrize(
    ("content", "layer", "why"),
    [
        (adder(), None, "is no embedding: it must be one row of 16 numbers or more"),
        (dense(1), None, r"\(1 x 12 float32\) is no embedding"),
        (probe_model.content(), None, "no embedding was found"),
        (probe_model.content(), "nothing", "no operator makes a tensor 'nothing'"),
    ],
)
def test_a_model_without_an_embedding_is_refused(content, layer, why):
    with pytest.raises(Malformed, match=why):
        cutting.find(flatgraph.opened(content), layer)
