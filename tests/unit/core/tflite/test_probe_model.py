from agent.core.tflite import flatmodel, probe_model
from agent.core.tflite.flatmodel import Arithmetic
from tests.fakes.tflite import RESHAPE, Form, Operator, Sketch, build

LOGISTIC = 14


def test_it_is_what_its_description_says():
    image, flat = Form((1, 8, 8, 3), "uint8", 1 / 128, 128), Form((1, 192), "uint8", 1 / 128, 128)
    scores = Form((1, 192), "uint8", 1 / 256, 0)
    operators = (Operator(RESHAPE, (0,), (1,)), Operator(LOGISTIC, (1,), (2,)))
    assert flatmodel.examine(probe_model.content()) == flatmodel.examine(
        build(Sketch((image, flat, scores), operators))
    )
    facts = flatmodel.examine(probe_model.content())
    assert facts.arithmetic is Arithmetic.INTEGER
    assert facts.outputs[0].shape == (1, probe_model.CLASSES)
