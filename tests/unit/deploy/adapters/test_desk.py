import io

import numpy as np
import pytest
from PIL import Image

from deploy.adapters import desk
from deploy.core.refusal import Refused


def picture(path, size=(8, 4), colour=(10, 20, 30), **options):
    Image.new("RGB", size, colour).save(path, **options)
    return path


def test_pictures_are_taken_in_order_from_files_and_folders(tmp_path):
    for name in ("c.png", "a.PNG", "b.jpg", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "sub.png").mkdir()
    (tmp_path / "finch").mkdir()
    (tmp_path / "finch" / "d.png").write_bytes(b"another")
    found = desk.pictures([tmp_path / "c.png", tmp_path])
    names = [each.place.removeprefix(f"{tmp_path}/") for each in found]
    assert names == ["c.png", "a.PNG", "b.jpg", "c.png", "finch/d.png"]
    assert len({each.digest for each in found}) == 2
    assert {each.group for each in found} == {str(tmp_path), str(tmp_path / "finch")}


@pytest.mark.parametrize(("name", "said"), [("missing", "no such file or folder"), (".", "no picture")])
def test_places_without_pictures_are_refused(tmp_path, name, said):
    with pytest.raises(Refused, match=said):
        desk.pictures([tmp_path / name])


@pytest.mark.parametrize(
    ("arrays", "shape"),
    [
        ({"x": np.zeros((5, 4, 6, 3), np.uint8), "y": np.zeros(5)}, (4, 6, 3)),
        ({"pictures": np.zeros((5, 4, 6, 1), np.uint8)}, (4, 6, 3)),
        ({"x": np.zeros((5, 4, 6), np.uint8)}, (4, 6, 3)),
    ],
)
def test_pictures_are_taken_from_arrays_of_bytes(tmp_path, arrays, shape):
    np.savez(tmp_path / "a.npz", **arrays)
    found = desk.arrays(tmp_path / "a.npz")
    assert [each.shape for each in found] == [shape] * 5


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros((5, 4, 6, 3), np.float32)}, "bytes of count x height x width x 1 or 3, and x is 5 x"),
        ({"a": np.zeros(5), "b": np.zeros(5)}, "none named x"),
        (None, "no .npz file of plain arrays"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(tmp_path, arrays, said):
    if arrays is None:
        (tmp_path / "a.npz").write_bytes(b"PK torn")
    else:
        np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(Refused, match=said):
        desk.arrays(tmp_path / "a.npz")


def test_a_frame_is_upright_rgb_and_no_larger_than_asked(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = picture(tmp_path / "turned.png", size=(640, 320), exif=exif)
    assert desk.frame(path, 320).shape == (320, 160, 3)


def test_a_small_picture_is_not_blown_up(tmp_path):
    assert desk.frame(picture(tmp_path / "a.png"), 320).shape == (4, 8, 3)


def test_transparency_and_palettes_become_rgb(tmp_path):
    Image.new("P", (2, 2)).save(tmp_path / "a.gif")
    Image.new("LA", (2, 2)).save(tmp_path / "b.png")
    assert desk.frame(tmp_path / "a.gif", 8).shape == (2, 2, 3)
    assert desk.frame(tmp_path / "b.png", 8).shape == (2, 2, 3)


def test_a_png_holds_exactly_the_pixels():
    pixels = np.random.default_rng(7).integers(0, 256, (9, 5, 3), dtype=np.uint8)
    with Image.open(io.BytesIO(desk.png(pixels))) as read:
        assert (read.format, read.mode) == ("PNG", "RGB")
        assert np.array_equal(np.asarray(read), pixels)


@pytest.mark.parametrize(("content", "said"), [(b"text", "is no picture"), (None, "cannot be decoded")])
def test_what_cannot_be_decoded_is_refused_by_name(tmp_path, content, said):
    path = tmp_path / "a.png"
    if content is None:
        picture(path, size=(300, 300))
        path.write_bytes(path.read_bytes()[:200])
    else:
        path.write_bytes(content)
    with pytest.raises(Refused, match=said):
        desk.frame(path, 320)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(Refused, match=r"gone\.tflite: No such file"):
        desk.read(tmp_path / "gone.tflite")
