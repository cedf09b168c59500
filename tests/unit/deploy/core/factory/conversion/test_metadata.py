import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.inference import contract, labels
from agent.core.inference.describing import describe
from agent.core.serving.delegate import RuntimeChoice
from agent.core.tflite import flatedit, flatmodel, probe_model
from agent.core.tflite.flatmeta import Card
from agent.wire.documents import Normalization
from agent.wire.errors import Malformed
from deploy.core.factory.conversion.metadata import (
    PROVENANCE,
    Provenance,
    provenance,
    with_provenance,
)
from deploy.core.factory.conversion.words import Calibration
from tests.models import FULL, TINY, TINY_FLOAT, TINY_INT8, installed, shared

ORIGIN = Provenance(
    source_digest="ab" * 32,
    converter="tensorflow 2.21.0",
    flags=("quantize=int8",),
    calibration=Calibration(samples=100, digest="cd" * 32),
)
CARD = Card(
    name="birds",
    description="which bird it is",
    version="3",
    author="A. Ornithologist",
    licence="Apache-2.0",
    normalization=Normalization(mean=(127.5,), std=(127.5,)),
)
NAMES = [f"bird {index}" for index in range(probe_model.CLASSES)]
LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=9)


def test_a_card_is_read_back_word_by_word():
    found = flatmodel.examine(describe(probe_model.content(), CARD, NAMES)).card
    assert found is not None
    assert (found.name, found.description, found.version) == ("birds", "which bird it is", "3")
    assert (found.author, found.licence) == ("A. Ornithologist", "Apache-2.0")
    assert found.normalization == CARD.normalization


@given(st.lists(LETTERS | LETTERS.map("7 {}".format), min_size=192, max_size=192))
def test_labels_are_read_back_whatever_they_look_like(names):
    written = describe(probe_model.content(), Card(), names)
    assert labels.embedded(written, flatmodel.examine(written)) == tuple(names)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["one"], "1 labels for 192 classes"),
        ([*NAMES[:-1], "two\nlines"], "line of a labels file"),
        ([*NAMES[:-1], ""], "line of a labels file"),
        ([" blank ahead", *NAMES[1:]], "' blank ahead' cannot stand"),
        ([], "0 labels for 192 classes"),
    ],
)
def test_labels_that_no_file_can_hold_are_refused(names, why):
    with pytest.raises(Malformed, match=why):
        describe(probe_model.content(), Card(), names)


def test_where_a_model_comes_from_is_read_back():
    written = with_provenance(probe_model.content(), ORIGIN)
    assert provenance(written) == ORIGIN
    assert provenance(probe_model.content()) is None


def test_the_card_and_the_origin_make_the_same_bytes_in_either_order_and_twice():
    model = shared(TINY).read_bytes()
    names = [f"class {index}" for index in range(1001)]
    first = with_provenance(describe(model, CARD, names), ORIGIN)
    assert first == describe(with_provenance(model, ORIGIN), CARD, names)
    assert first == with_provenance(describe(first, CARD, names), ORIGIN)


def test_an_origin_that_says_nothing_known_is_refused():
    odd = flatedit.with_entries(probe_model.content(), {PROVENANCE: b'{"converter": 1}'})
    with pytest.raises(Malformed, match=PROVENANCE):
        provenance(odd)


@pytest.mark.parametrize("runtime", [RuntimeChoice.LITERT, RuntimeChoice.TFLITE])
@pytest.mark.parametrize("name", [TINY, TINY_INT8, TINY_FLOAT, FULL])
def test_a_described_model_answers_as_before_in_both_runtimes(runtime, name):
    content = shared(name).read_bytes()
    classes = flatmodel.examine(content).outputs[0].shape[-1]
    described = with_provenance(describe(content, CARD, [f"c {i}" for i in range(classes)]), ORIGIN)
    opened = installed(runtime)
    before, after = opened.load(content, threads=1), opened.load(described, threads=1)
    tensor = np.random.default_rng(1).integers(0, 100, before.input.shape).astype(before.input.dtype.value)
    np.testing.assert_array_equal(before.invoke(tensor), after.invoke(tensor))
    assert contract.infer(flatmodel.examine(described))[1] == contract.infer(flatmodel.examine(content))[1]
