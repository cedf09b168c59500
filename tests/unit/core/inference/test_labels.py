import pytest

from agent.core.inference import labels
from agent.core.tflite import flatmodel
from agent.wire.errors import Malformed
from tests.fakes.tflite import Card, Form, card, classifier

IMAGE = Form((1, 1, 1, 3), "uint8", 1 / 128, 128)
SCORES = Form((1, 3), "uint8", 1 / 256, 0)
CARD = {"TFLITE_METADATA": card(Card(labels_file="names.txt"))}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"cat\ndog\n", ("cat", "dog")),
        (b"cat\r\ndog\r\n\r\n \n", ("cat", "dog")),
        (b"\xef\xbb\xbfcat\n", ("cat",)),
        (b"cat\n\ndog", ("cat", "", "dog")),
        (b"tench, Tinca tinca\nK\xc3\xa4fer", ("tench, Tinca tinca", "K\u00e4fer")),
        (b"0  person\n1  bicycle\n3  car\n", ("person", "bicycle", "", "car")),
        (b"0:cat\n1: dog\n", ("cat", "dog")),
        (b"0\n1\n2\n", ("0", "1", "2")),
        (b"3 of hearts\n3 of spades\n", ("3 of hearts", "3 of spades")),
        (b"2 x\n1 y\n", ("2 x", "1 y")),
        (b"10 euros\nnothing\n", ("10 euros", "nothing")),
    ],
)
def test_labels_come_one_a_line_or_with_their_number(content, found):
    assert labels.parse(content) == found


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"\n \n", "empty"), (b"\xff\xfe", "UTF-8")])
def test_what_holds_no_labels_is_refused_in_words(content, words):
    with pytest.raises(Malformed, match=words):
        labels.parse(content)


@pytest.mark.parametrize(
    ("files", "metadata", "found"),
    [
        ({"a.txt": b"x\ny"}, {}, ("x", "y")),
        ({"names.txt": b"x\ny", "other_labels.txt": b"z"}, CARD, ("x", "y")),
        ({"notes.txt": b"n", "my_Labels.txt": b"z"}, {}, ("z",)),
        ({"notes.txt": b"n", "more.txt": b"m"}, {}, None),
        ({"vocab.bin": b"n"}, CARD, None),
        ({}, CARD, None),
    ],
)
def test_labels_inside_a_model_are_those_that_its_card_names_or_the_only_ones(files, metadata, found):
    content = classifier(IMAGE, SCORES, files=files, metadata=metadata)

    assert labels.embedded(content, flatmodel.examine(content)) == found


def test_an_enormous_label_file_is_refused_before_it_fills_the_memory():
    content = classifier(IMAGE, SCORES, files={"labels.txt": bytes(8 * 1024 * 1024)})

    with pytest.raises(Malformed, match="larger than"):
        labels.embedded(content, flatmodel.examine(content))


def test_a_wrong_count_is_told_with_both_numbers_and_not_guessed_away():
    assert labels.mismatch(["x"] * 1001, 1001) is None
    assert labels.mismatch(["x"] * 90, 1001) == "90 labels for 1001 classes"
    assert "background" in str(labels.mismatch(["x"] * 1000, 1001))
