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
    found = desk.pictures([tmp_path / "c.png", tmp_path], at_most=3)
    assert [path.name for path in found] == ["c.png", "a.PNG", "b.jpg"]


@pytest.mark.parametrize(("name", "said"), [("missing", "no such file or folder"), (".", "no picture")])
def test_places_without_pictures_are_refused(tmp_path, name, said):
    with pytest.raises(Refused, match=said):
        desk.pictures([tmp_path / name], at_most=8)


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
