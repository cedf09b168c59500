import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.core.release import golden


def test_expected_scores_are_the_best_first_and_short():
    found = np.array([0.1, 0.6, 0.1234567, 0.0, 0.1, 0.05, 0.01])
    assert golden.expect(found) == ((1, 0.6), (2, 0.123457), (0, 0.1), (4, 0.1), (5, 0.05))


def test_there_are_fewer_expectations_than_frames_have_classes():
    assert golden.expect(np.array([0.2, 0.8])) == ((1, 0.8), (0, 0.2))


@pytest.mark.parametrize("size", [(224, 224), (96, 128), (1, 1), (3, 500)])
def test_the_patterns_are_eight_different_pictures_of_the_size_asked_for(size):
    made = golden.patterns(*size)
    assert [(p.shape, p.dtype) for p in made] == [((*size, 3), np.dtype(np.uint8))] * golden.FRAMES_MAX
    if min(size) > 1:
        assert len({p.tobytes() for p in made}) == golden.FRAMES_MAX


def test_the_patterns_are_the_same_on_every_desk():
    content = b"".join(picture.tobytes() for picture in golden.patterns(32, 48))
    assert (
        hashlib.sha256(content).hexdigest()
        == "50bffbef0916e28a6d4a4135d60de1a04115fe98db5a9ea9e28d28f5d8f7b47a"
    )


def test_a_turn_or_swapped_channels_change_every_pattern():
    for picture in golden.patterns(64, 64):
        assert not np.array_equal(picture, picture[..., ::-1])
        assert not np.array_equal(picture, picture[::-1, ::-1])


@pytest.mark.parametrize(("model", "side"), [((224, 224), 320), ((384, 512), 512)])
def test_a_golden_frame_is_never_smaller_than_what_the_model_looks_at(model, side):
    assert golden.side_px(*model) == side


def sure(best, lead, classes=6):
    found = np.full(classes, 0.1)
    found[best] += lead
    return found


def test_of_many_pictures_the_surest_of_each_class_become_golden_frames():
    answers = [sure(0, 0.1), sure(0, 0.5), sure(1, 0.2), sure(0, 0.3), sure(2, 0.01), sure(1, 0.4)]
    assert golden.choose(answers, 3) == (1, 4, 5)
    assert golden.choose(answers, 4) == (1, 3, 4, 5)
    assert golden.choose(answers, 9) == (0, 1, 2, 3, 4, 5)


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=30), st.integers(1, 8)
)
def test_as_many_classes_as_can_be_are_among_the_frames_chosen(answers, count):
    found = [np.array(each) for each in answers]
    chosen = golden.choose(found, count)
    classes = {int(np.argmax(each)) for each in found}
    assert len(chosen) == min(count, len(found))
    assert len({int(np.argmax(found[index])) for index in chosen}) == min(count, len(classes))
