"""The picture beside a trained model."""

import pytest
from PIL import Image

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from deploy.factory.training import confusion


@pytest.mark.parametrize("labels", [("a", "b"), ("$x^", "a_b\\c")])
def test_the_same_counts_give_the_same_picture_whatever_labels_are_called(tmp_path, labels):
    counts = [[(row * column) % 3 for column in range(len(labels))] for row in range(len(labels))]
    for name in ("one.png", "two.png"):
        confusion.draw(counts, labels, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as drawn:
        assert drawn.width == drawn.height >= 400
