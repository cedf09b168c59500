"""Pictures and their labels, however they lie on disk."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deploy.adapters import evaluation_data
from deploy.core.refusal import Refused


def paint(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), shade, np.uint8)).save(path)
    return path


def test_a_folder_of_folders_names_its_pictures(tmp_path):
    for label, name in (("cat", "b.png"), ("cat", "a.png"), ("dog", "deep/c.jpg")):
        paint(tmp_path / label / name)
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    found = evaluation_data.read([tmp_path], None)
    assert [Path(place).name for place in found.places] == ["a.png", "b.png", "c.jpg"]
    assert found.labels == ("cat", "cat", "dog")


def test_a_table_names_pictures_and_their_labels(tmp_path):
    paint(tmp_path / "a.png")
    paint(tmp_path / "b.png")
    (tmp_path / "labels.csv").write_text("label,file\ncat,b.png\n,a.png\n")
    found = evaluation_data.read([tmp_path], None)
    assert [(Path(place).name, label) for place, label in zip(found.places, found.labels, strict=True)] == [
        ("b.png", "cat"),
        ("a.png", None),
    ]


def test_pictures_alone_have_no_labels(tmp_path):
    found = evaluation_data.read([paint(tmp_path / "a.png").parent, paint(tmp_path / "x" / "b.png")], None)
    assert not evaluation_data.read([tmp_path / "x"], None).labelled
    assert len(found.places) == 2


def test_a_limit_takes_pictures_of_every_class_and_not_the_first_ones(tmp_path):
    for label in "abcd":
        for number in range(5):
            paint(tmp_path / label / f"{number}.png")
    assert evaluation_data.read([tmp_path], 4).labels == ("a", "b", "c", "d")


def test_the_digest_is_of_contents_and_labels_and_not_of_the_place(tmp_path):
    def digest(folder: str, label: str, shade: int) -> str:
        paint(tmp_path / folder / label / "a.png", shade)
        return evaluation_data.read([tmp_path / folder], None).digest

    one = digest("one", "cat", 3)
    assert one == digest("two", "cat", 3)
    assert one != digest("three", "dog", 3)
    assert one != digest("four", "cat", 4)


@pytest.mark.parametrize("x", [np.zeros((3, 4, 6), np.uint8), np.zeros((3, 4, 6, 1), np.uint8)])
def test_gray_arrays_become_pixels_of_three_colours(tmp_path, x):
    np.savez(tmp_path / "d.npz", x=x, y=np.array([1, 0, 2]))
    found = evaluation_data.read([tmp_path / "d.npz"], 2)
    assert found.labels == ("class 1", "class 0")
    assert found.rows == (0, 1)
    assert evaluation_data.rows(found.places[0])[2].shape == (4, 6, 3)


def test_words_are_labels_too_and_floats_are_the_models_own_numbers(tmp_path):
    np.savez(tmp_path / "d.npz", x_test=np.ones((2, 5), np.float64), y_test=np.array(["cat", "dog"]))
    found = evaluation_data.read([tmp_path / "d.npz"], None)
    assert found.labels == ("cat", "dog")
    assert found.floats
    assert evaluation_data.rows(found.places[0])[0].dtype == np.float32


ARRAYS = {
    "nothing of that name": ({"a": np.zeros(3)}, "it needs x"),
    "whole numbers": ({"x": np.zeros((2, 4, 6), np.int64)}, "pictures are uint8"),
    "no row": ({"x": np.zeros((0, 4, 6), np.uint8)}, "x is empty"),
    "NaN": ({"x": np.full((2, 4), np.nan)}, "NaN or infinity"),
    "too few labels": (
        {"x": np.zeros((2, 4, 6), np.uint8), "y": np.zeros(3, int)},
        "x has 2 rows and y is 3",
    ),
    "labels of a strange kind": ({"x": np.zeros((1, 4, 6), np.uint8), "y": np.zeros(1)}, "y is float64"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_cannot_be_used_are_refused_in_a_sentence(tmp_path, case):
    held, said = ARRAYS[case]
    np.savez(tmp_path / "d.npz", **held)
    with pytest.raises(Refused, match=said):
        evaluation_data.read([tmp_path / "d.npz"], None)


def test_files_that_cannot_be_used_are_refused_in_a_sentence(tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    with (tmp_path / "single.npz").open("wb") as single:
        np.save(single, np.zeros(3))
    (tmp_path / "empty").mkdir()
    paint(tmp_path / "tabled" / "a.png")
    (tmp_path / "tabled" / "t.csv").write_text("name,what\na.png,cat\n")
    paint(tmp_path / "absent" / "a.png")
    (tmp_path / "absent" / "t.csv").write_text("file,label\nz.png,cat\n")
    for name, said in {
        "nowhere": "no such file or folder",
        "single.npz": "is no .npz file of plain arrays",
        "broken.npz": "is no .npz file of plain arrays",
        "empty": "no picture",
        "tabled": "must name the columns file and label",
        "absent": "line 2 names 'z.png', which is not there",
    }.items():
        with pytest.raises(Refused, match=said):
            evaluation_data.read([tmp_path / name], None)
