import hashlib

import numpy as np
import pytest

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
