"""Classifiers of other sizes and kinds go the way of all others: nothing knows them by name."""

import pytest

from agent.assemble.desk import desk
from agent.assemble.desk.desk import Classified, Classify
from tests import models, rig
from tests.fakes.tflite import Form, classifier


def classified(path):
    (answer,) = desk.answers(Classify(model=str(path), images=(str(rig.PHOTOGRAPHS / "hens.jpg"),)))
    assert isinstance(answer, Classified), answer
    return answer


@pytest.mark.parametrize(
    ("image", "softmax"),
    [
        (Form((1, 299, 299, 3), "float32"), True),
        (Form((1, 96, 128, 1), "uint8", 1 / 256), True),
        (Form((1, 160, 160, 3), "int8", 1 / 256, -128), True),
        (Form((1, 8, 8, 3), "float32"), False),
    ],
    ids=["as Inception v3", "gray", "another MobileNet", "an extractor of 192 features"],
)
def test_any_size_and_type_is_served_with_classes_by_number_where_there_are_no_labels(
    image, softmax, tmp_path
):
    count = image.shape[1] * image.shape[2] * image.shape[3]
    least = {"float32": (0.0, 0), "uint8": (1 / 256, 0), "int8": (1 / 256, -128)}[image.dtype]
    (tmp_path / "m.tflite").write_bytes(
        classifier(image, Form((1, count), image.dtype, *least), softmax=softmax)
    )
    best = classified(tmp_path / "m.tflite").predictions[0]
    assert best.label == f"class {best.index}"
    assert 0 <= best.index < count


def test_a_recurrent_classifier_answers_the_same_frame_the_same():
    path = models.shared("keras_lstm_mnist_ptq.tflite")
    assert classified(path).predictions == classified(path).predictions
