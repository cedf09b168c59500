import pytest

from agent.core.tflite import flatmodel, kinds
from agent.core.tflite.flatmodel import TensorFacts
from tests.fakes.tflite import detector, segmenter


def tensors(*shapes):
    return [TensorFacts("t", shape, "float32", (), ()) for shape in shapes]


IMAGE = (1, 300, 200, 3)


@pytest.mark.parametrize(
    ("outputs", "operators", "words"),
    [
        ([()], {"TFLite_Detection_PostProcess"}, "a detector (TFLite_Detection_PostProcess)"),
        ([(1, 100)], {"NON_MAX_SUPPRESSION_V5", "CONV_2D"}, "a detector (NON_MAX_SUPPRESSION_V5)"),
        ([(1, 1917, 4), (1, 1917, 91)], set(), "a detector (an output of boxes)"),
        ([(1, 300, 200, 21)], set(), "a segmenter"),
        ([(1, 300, 200)], set(), "a segmenter"),
        ([(1, 38, 25, 17)], set(), "a segmenter"),
        ([(1, 84, 8400)], set(), "a detector without its last step"),
        ([(1, 25200, 85)], set(), "a detector without its last step"),
        ([(1, 1000)], set(), None),
        ([(1, 1, 1, 1000)], set(), None),
        ([(1, 5), (1, 7)], set(), None),
        ([()], set(), None),
        ([], set(), None),
    ],
)
def test_a_kind_is_told_by_its_operators_and_its_outputs(outputs, operators, words):
    found = kinds.kind(tensors(IMAGE), tensors(*outputs), operators)
    assert found is None if words is None else found.startswith(words)


@pytest.mark.parametrize(
    ("content", "words"),
    [(detector(), "a detector (TFLite_Detection_PostProcess)"), (segmenter(), "a segmenter")],
)
def test_a_file_gives_itself_away(content, words):
    facts = flatmodel.examine(content)
    assert kinds.kind(facts.inputs, facts.outputs, facts.operator_names).startswith(words)
