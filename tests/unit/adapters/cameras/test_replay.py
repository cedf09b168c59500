import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.adapters.cameras.replay import ReplayCamera
from agent.wire.errors import CameraFailed
from tests.fakes.clock import FakeClock

EXIF_ORIENTATION = 0x0112


def camera(folder: Path, size: tuple[int, int] | None = None) -> ReplayCamera:
    return ReplayCamera(folder, 0.0, FakeClock(), size)


def paint(path: Path, colour: tuple[int, int, int] = (1, 2, 3), size: tuple[int, int] = (8, 6)) -> None:
    Image.new("RGB", size, colour).save(path)


def test_pictures_come_sorted_by_name_in_a_loop_under_their_names(tmp_path: Path) -> None:
    for name in ("b.png", "a.bmp", "c.JPG"):
        paint(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    replay = camera(tmp_path)
    replay.open()
    assert [replay.read().name for _ in range(5)] == ["a.bmp", "b.png", "c.JPG", "a.bmp", "b.png"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CameraFailed, match=r"nowhere: No such file"):
        camera(tmp_path / "nowhere").open()


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CameraFailed, match="holds no jpg, png or bmp"):
        camera(tmp_path).open()


def test_a_folder_of_broken_pictures_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(CameraFailed, match="none of its pictures can be decoded"):
        camera(tmp_path).open()


@pytest.mark.parametrize("rubbish", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n", b"BM" + bytes(40)])
def test_a_broken_picture_among_good_ones_is_named_once_and_left_out(
    tmp_path: Path, rubbish: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    paint(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(rubbish)
    paint(tmp_path / "c.png")
    replay = camera(tmp_path)
    replay.open()
    with caplog.at_level(logging.WARNING):
        names = [replay.read().name for _ in range(8)]
    assert set(names) == {"a.png", "c.png"}
    assert [record.path for record in caplog.records] == [str(tmp_path / "b.png")]  # type: ignore[attr-defined]


def test_a_picture_cut_short_is_broken_too(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(CameraFailed):
        camera(tmp_path).open()


def test_a_picture_lying_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    lying = Image.new("RGB", (8, 4), (0, 0, 0))
    lying.paste((255, 255, 255), (0, 0, 2, 4))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    lying.save(tmp_path / "a.png", exif=exif)
    replay = camera(tmp_path)
    replay.open()
    pixels = replay.read().pixels
    assert pixels.shape == (8, 4, 3)
    assert pixels[0].min() == 255
    assert pixels[-1].max() == 0


def test_a_picture_of_another_shape_covers_the_frame_and_is_cropped_at_the_centre(tmp_path: Path) -> None:
    wide = Image.new("RGB", (30, 10), (0, 0, 255))
    wide.paste((255, 0, 0), (10, 0, 20, 10))
    wide.save(tmp_path / "a.png")
    replay = camera(tmp_path, (10, 10))
    replay.open()
    pixels = replay.read().pixels
    assert pixels.shape == (10, 10, 3)
    assert (pixels == (255, 0, 0)).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (4, 4), (255, 255, 255)).convert(mode).save(
        tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    )
    replay = camera(tmp_path)
    replay.open()
    assert replay.read().pixels.tobytes() == b"\xff" * 48


def test_no_more_pictures_are_kept_than_the_cache_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.adapters.cameras.replay.CACHE_MAX_BYTES", 3 * 8 * 6 * 3)
    for index in range(5):
        paint(tmp_path / f"{index}.png", (index, 0, 0))
    replay = camera(tmp_path)
    replay.open()
    assert [replay.read().pixels[0, 0, 0] for _ in range(12)] == [index % 5 for index in range(12)]
    assert replay._cache._held_bytes == 3 * 8 * 6 * 3
    assert len(replay._cache._pixels) == 3


def test_a_picture_is_decoded_once(tmp_path: Path) -> None:
    paint(tmp_path / "a.png")
    replay = camera(tmp_path)
    replay.open()
    first = replay.read()
    (tmp_path / "a.png").unlink()
    assert replay.read().pixels is first.pixels
