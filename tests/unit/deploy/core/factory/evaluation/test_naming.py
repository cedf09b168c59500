"""One list of classes for models and data that name them differently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.core.factory.evaluation import naming
from deploy.core.factory.evaluation.naming import Named
from deploy.core.refusal import Refused

BIRDS = ("tench", "crane", "toaster", "crane")
LONG = ("background", "tench, Tinca tinca", "crane", "toaster", "crane", "Great White_shark, man-eater")


def named(labels: tuple[str, ...], file: str = "a.tflite") -> Named:
    return Named(file, len(labels), labels)


def test_a_background_class_and_longer_names_do_not_hide_that_classes_are_the_same():
    shared = naming.shared([named(BIRDS), named(LONG, "b.tflite")])
    assert shared.classes == ((0, 1, 2, 3), (4, 0, 1, 2, 3, 5))
    assert shared.labels == (*BIRDS, "background", "Great White_shark, man-eater")
    assert shared.remarks == ("the models do not know the same classes: 4 of 6 are known to all",)


@pytest.mark.parametrize(
    ("first", "second", "places"),
    [
        (("crane", "owl"), ("heron, crane", "crane"), (2, 0)),
        (("heron, crane", "crane"), ("crane", "heron"), (1, 0)),
        (("crane", "owl"), ("owl", "heron, crane"), (1, 0)),
        (("a", ""), ("", "A"), (2, 0)),
    ],
)
def test_a_whole_label_goes_before_one_of_several_names(first, second, places):
    assert naming.shared([named(first), named(second, "b.tflite")]).classes[1] == places


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c", "a, b", "C", ""]), min_size=1), min_size=1, max_size=3)
)
def test_every_class_of_every_model_has_a_place_of_its_own(lists):
    models = [named(tuple(labels)) for labels in lists if any(labels)]
    if not models:
        return
    shared = naming.shared(models)
    for model, places in zip(models, shared.classes, strict=True):
        assert len(set(places)) == len(places) == model.classes
    assert {place for places in shared.classes for place in places} == set(range(len(shared.labels)))


def test_classes_of_the_same_name_are_told_apart_by_their_numbers():
    told = naming.shared([named(BIRDS)]).told
    assert told == ("tench", "crane (class 1)", "toaster", "crane (class 3)")


def test_models_without_names_share_their_numbers():
    shared = naming.shared([Named("a", 3, ()), Named("b", 3, ())])
    assert shared.labels == ("class 0", "class 1", "class 2")
    assert naming.find(["2", "class 0", "7"], shared).places == {"2": 2, "class 0": 0}


def test_a_model_without_names_is_named_as_one_with_as_many_classes():
    shared = naming.shared([named(BIRDS), Named("bare.tflite", 4, ())])
    assert shared.classes[1] == (0, 1, 2, 3)
    assert "bare.tflite" in shared.remarks[0]


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([Named("a", 3, ()), Named("b", 4, ())], "a has 3, b has 4"),
        ([named(BIRDS), Named("b", 7, ())], "b has 7 classes and no labels"),
        (
            [named(BIRDS), Named("b", 7, (), "x.txt: 3 labels for 7 classes")],
            "b: x.txt: 3 labels for 7 classes",
        ),
        ([Named("b", 7, (), "x.txt: 3 labels for 7 classes")], "b: x.txt: 3 labels for 7 classes"),
    ],
)
def test_models_that_cannot_be_brought_together_are_refused_in_one_sentence(models, said):
    with pytest.raises(Refused, match=said):
        naming.shared(models)


@pytest.mark.parametrize(
    ("label", "place"),
    [
        ("tench", 1),
        ("Tinca_Tinca", 1),
        ("tench, tinca tinca", 1),
        ("great-white  shark", 5),
        ("man eater", 5),
        ("class 4", 4),
    ],
)
def test_data_may_write_a_label_in_any_of_its_forms(label, place):
    assert naming.find([label], naming.shared([named(LONG)])).places == {label: place}


def test_numbers_where_there_are_names_are_the_first_models_own():
    shared = naming.shared([named(BIRDS), named(LONG, "b.tflite")])
    assert naming.find(["class 2", "tench"], shared).counted
    assert not naming.find(["tench"], shared).counted
    assert not naming.find(["class 2"], naming.shared([Named("a", 3, ())])).counted


def test_a_label_that_means_two_classes_is_refused_with_the_way_to_say_which():
    with pytest.raises(
        Refused, match="'crane' means 2 classes of the models, number 2 and 4: call it 'class 2'"
    ):
        naming.find(["crane"], naming.shared([named(LONG)]))


def test_unknown_labels_are_named_with_what_they_may_have_meant():
    shared = naming.shared([named(LONG)])
    found = naming.find(["toastr", "zebra", "tench", "3"], shared)
    assert found.unknown == ("toastr", "zebra", "3")
    said = naming.missing(found.unknown, 4, shared)
    assert said.startswith(
        "3 of the data's 4 labels are unknown to the models: '3', 'toastr' (is it 'toaster'?), 'zebra'; "
        "the models know 6 labels such as 'background'"
    )
