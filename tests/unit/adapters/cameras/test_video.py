"""Videos that are made here and played by real demuxers, decoders and sockets."""

import errno
import gc
import itertools
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from agent.adapters.cameras.video import FileCamera, LiveCamera, Place, opening, packets
from agent.adapters.cameras.video.opening import said, shown
from agent.core.camera import health
from agent.wire.errors import CameraBusy, CameraFailed, CameraFrozen
from tests.fakes.clock import FakeClock
from tests.fakes.rtspserver import RtspServer

av = pytest.importorskip("av", reason="PyAV is an extra: pip install 'shoal[camera]'")

WIDTH, HEIGHT = 64, 48
TOLERANCE = 12
"""Levels that lossy coding may move."""


class SystemTime:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def synchronized(self) -> bool:
        return True


def write(path: Path, levels: list[int], size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """Pictures with red to the left, blue to the right and a grey level below."""
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = size
        stream.pix_fmt, stream.bit_rate, stream.gop_size = "yuv420p", 8_000_000, 1
        for index, level in enumerate(levels):
            pixels = np.zeros((size[1], size[0], 3), np.uint8)
            pixels[:, : size[0] // 2, 0] = 230
            pixels[:, size[0] // 2 :, 2] = 230
            pixels[size[1] // 2 :] = level
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def levels_of(camera: FileCamera, count: int) -> list[int]:
    return [int(camera.read().pixels[-2, 2, 0]) for _ in range(count)]


def close_to(found: list[int], expected: list[int]) -> bool:
    return all(abs(a - b) <= TOLERANCE for a, b in zip(found, expected, strict=True))


def card(path: Path, codec: str, pixel_format: str, size: tuple[int, int]) -> Path:
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        pixels = np.full((size[1], size[0], 3), (220, 10, 10), np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pixel_format)
        frame.pts, frame.time_base = 0, Fraction(1, 10)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def first(camera: FileCamera) -> np.ndarray:
    camera.open()
    return camera.read().pixels


def held(path: Path, quarters: int) -> Path:
    """The same video, to be shown turned clockwise: the matrix of its track header says so (ISO 14496-12)."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 4 + 5 * 4 + 8 + 4 * 2
    one = 1 << 16
    a, b = {1: (0, one), 2: (-one, 0), 3: (0, -one)}[quarters]
    struct.pack_into(">9i", content, at, a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


class TestFile:
    def camera(self, path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> FileCamera:
        return FileCamera(str(path), 0.0, size, FakeClock())

    def test_its_pictures_come_in_turn_in_a_loop_in_red_green_blue(self, tmp_path: Path) -> None:
        with closing(self.camera(write(tmp_path / "a.mp4", [40, 120, 200]))) as camera:
            camera.open()
            assert close_to(levels_of(camera, 7), [40, 120, 200, 40, 120, 200, 40])
            frame = camera.read()
        left, right = frame.pixels[4, 4], frame.pixels[4, -4]
        assert int(left[0]) - int(left[2]) > 120
        assert int(right[2]) - int(right[0]) > 120
        assert (frame.name, frame.sequence, frame.pixels.shape) == ("a.mp4", 7, (HEIGHT, WIDTH, 3))
        assert frame.pixels.flags.c_contiguous

    @pytest.mark.parametrize(
        ("asked", "given"),
        [((32, 32), (32, 32)), ((64, 24), (24, 64)), ((128, 96), (48, 64)), ((224, 224), (48, 48))],
    )
    def test_a_larger_video_covers_the_frame_and_a_smaller_one_is_not_enlarged(
        self, tmp_path: Path, asked: tuple[int, int], given: tuple[int, int]
    ) -> None:
        with closing(self.camera(write(tmp_path / "a.mp4", [40]), asked)) as camera:
            camera.open()
            pixels = camera.read().pixels
        assert pixels.shape == (*given, 3)
        assert pixels[2, 2, 0] > 180
        assert pixels[2, -3, 2] > 180

    @pytest.mark.parametrize("quarters", [1, 2, 3])
    def test_a_video_held_otherwise_is_shown_upright(self, tmp_path: Path, quarters: int) -> None:
        path = write(tmp_path / "a.mp4", [40])

        def first(size: tuple[int, int]) -> np.ndarray:
            with closing(self.camera(path, size)) as camera:
                camera.open()
                return camera.read().pixels.astype(int)

        lying, lying_part = first((WIDTH, HEIGHT)), first((32, 32))
        held(path, quarters)
        upright = (HEIGHT, WIDTH) if quarters % 2 else (WIDTH, HEIGHT)
        assert np.array_equal(first(upright), np.rot90(lying, -quarters))
        assert np.array_equal(first((32, 32)), np.rot90(lying_part, -quarters))

    @pytest.mark.parametrize(
        ("container", "codec", "pixel_format", "size"),
        [
            ("mkv", "rawvideo", "gray", (WIDTH, HEIGHT)),
            ("mkv", "ffv1", "gray16le", (WIDTH, HEIGHT)),
            ("mkv", "rawvideo", "yuyv422", (WIDTH, HEIGHT)),
            ("mkv", "rawvideo", "nv12", (WIDTH, HEIGHT)),
            ("mov", "qtrle", "rgb24", (WIDTH, HEIGHT)),
            ("mkv", "mjpeg", "yuvj422p", (WIDTH, HEIGHT)),
            ("mkv", "ffv1", "yuv444p", (61, 47)),
            ("mkv", "ffv1", "yuv420p", (63, 49)),
            ("mov", "png", "rgb24", (1, 1)),
        ],
    )
    def test_a_red_card_is_red_in_every_pixel_format_and_grey_where_there_is_no_colour(
        self, tmp_path: Path, container: str, codec: str, pixel_format: str, size: tuple[int, int]
    ) -> None:
        path = card(tmp_path / f"a.{container}", codec, pixel_format, size)
        with closing(self.camera(path, (32, 24))) as camera:
            camera.open()
            pixels = camera.read().pixels
        red, green, blue = (int(level) for level in pixels[pixels.shape[0] // 2, pixels.shape[1] // 2])
        if pixel_format.startswith("gray"):
            assert max(red, green, blue) - min(red, green, blue) <= 2
        else:
            assert red > 180
            assert max(green, blue) < 40

    def test_more_than_8k_is_refused_before_memory_is_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write(tmp_path / "a.mp4", [40])
        monkeypatch.setattr(packets, "PIXELS_MAX", WIDTH * HEIGHT - 1)
        with closing(self.camera(path)) as camera:
            camera.open()
            with pytest.raises(CameraFailed, match=r"a.mp4 has 64x48 px, more than .*; choose a smaller"):
                camera.read()

    def test_a_video_cut_short_shows_what_is_left_and_one_without_pictures_is_named(
        self, tmp_path: Path
    ) -> None:
        whole = write(tmp_path / "a.mkv", [40, 120, 200] * 5).read_bytes()
        for share, found in ((0.9, True), (0.5, True), (0.02, False), (0.0, False)):
            (tmp_path / "cut.mkv").write_bytes(whole[: int(len(whole) * share)])
            with closing(self.camera(tmp_path / "cut.mkv")) as camera:
                if found:
                    camera.open()
                    assert all(camera.read().pixels.any() for _ in range(40))
                else:
                    with pytest.raises(CameraFailed, match=r"cut.mkv (is cut|holds no).*; choose another"):
                        first(camera)

    def test_opened_again_and_again_it_keeps_neither_handles_nor_memory(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.mp4", [40, 120], (640, 480))
        camera = self.camera(path, (224, 224))

        def again(times: int) -> tuple[int, int]:
            for _ in range(times):
                camera.open()
                camera.read()
                camera.close()
            gc.collect()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            return len(list(Path("/proc/self/fd").iterdir())), pages * os.sysconf("SC_PAGE_SIZE")

        handles, memory_bytes = again(30)
        after_handles, after_bytes = again(200)
        assert after_handles == handles
        assert after_bytes - memory_bytes < 4 << 20

    def test_pictures_that_change_their_size_under_way_are_all_of_the_wanted_one(
        self, tmp_path: Path
    ) -> None:
        parts = [
            write(tmp_path / f"{width}.ts", [40, 120, 200] * 3, (width, height)).read_bytes()
            for width, height in ((64, 48), (128, 96), (80, 80))
        ]
        (tmp_path / "all.ts").write_bytes(b"".join(parts))
        with closing(self.camera(tmp_path / "all.ts", (32, 32))) as camera:
            camera.open()
            seen = [camera.read().pixels for _ in range(27)]
        assert {pixels.shape for pixels in seen} == {(32, 32, 3)}
        assert all(pixels[4, 4, 0] > 150 for pixels in seen)

    def test_what_is_no_video_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "text.mp4").write_text("no video at all")
        for name, sentence in [
            ("text.mp4", "holds no video that can be decoded; choose another"),
            ("none.mp4", "is not there; correct camera.file"),
        ]:
            with pytest.raises(CameraFailed, match=sentence) as failure:
                self.camera(tmp_path / name).open()
            assert name in str(failure.value)

    def test_sound_alone_is_no_video(self, tmp_path: Path) -> None:
        with av.open(tmp_path / "a.wav", "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            frame.rate = 8000
            container.mux(stream.encode(frame))
        with closing(self.camera(tmp_path / "a.wav")) as camera:
            camera.open()
            with pytest.raises(CameraFailed, match="holds no video"):
                camera.read()


@contextmanager
def streaming(
    server: RtspServer, rate_fps: float = 0.0, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> Iterator[LiveCamera]:
    place = Place(server.url, None, {"rtsp_transport": "tcp"})
    camera = LiveCamera("rtsp", lambda: place, rate_fps, size, SystemTime())
    camera.open()
    try:
        yield camera
    finally:
        camera.close()
        server.close()


def read_on(camera: LiveCamera) -> None:
    for _ in range(200):
        camera.read()


class TestRtsp:
    def test_its_pictures_arrive_fresh_and_in_red_green_blue(self) -> None:
        with streaming(RtspServer()) as camera:
            frames = [camera.read() for _ in range(8)]
            ages_s = [(time.monotonic_ns() - frame.captured_ns) / 1e9 for frame in frames[-1:]]
        assert [frame.sequence for frame in frames] == list(range(8))
        red = frames[0].pixels[10, 10]
        assert int(red[0]) - int(red[2]) > 100
        numbers = [int(frame.pixels[10, -10, 0]) for frame in frames]
        assert all(abs(b - a) > 3 for a, b in itertools.pairwise(numbers))
        assert max(ages_s) < 0.5

    def test_a_faster_stream_is_thinned_to_the_rate(self) -> None:
        with streaming(RtspServer(rate_fps=40.0), rate_fps=8.0) as camera:
            frames = [camera.read() for _ in range(9)]
        took_s = (frames[-1].captured_ns - frames[0].captured_ns) / 1e9
        assert [frame.sequence for frame in frames] == list(range(9))
        assert took_s == pytest.approx(1.0, abs=0.35)

    def test_after_a_pause_what_piled_up_is_passed_over(self) -> None:
        server = RtspServer(rate_fps=25.0)
        with streaming(server) as camera:
            camera.read()
            until = time.monotonic() + 1.3
            while time.monotonic() < until:
                time.sleep(0.05)
            frame = camera.read()
            age_s = (time.monotonic_ns() - frame.captured_ns) / 1e9
        assert frame.sequence > 12
        assert age_s < 0.8

    def test_a_stream_that_stalls_is_frozen_and_one_that_ends_is_gone_and_both_come_back(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "ANSWER_S", 0.6)
        server = RtspServer()
        with streaming(server) as camera:
            camera.read()
            server.stalled.set()
            with pytest.raises(CameraFrozen, match=r"sent nothing for 0.6 s"):
                read_on(camera)
            last = camera._sequence
            camera.close()
            server.stalled.clear()
            server.cut()
            camera.open()
            assert camera.read().sequence == last + 1
            server.cut()
            with pytest.raises(CameraFailed) as failure:
                read_on(camera)
            assert "secret" not in str(failure.value)
            camera.close()
            camera.open()
            camera.read()

    def test_a_server_that_accepts_and_says_nothing_is_given_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(opening, "OPEN_S", 0.5)
        monkeypatch.setattr(health, "ANSWER_S", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as mute:
            place = Place(f"rtsp://127.0.0.1:{mute.getsockname()[1]}/live", None, {"rtsp_transport": "tcp"})
            camera = LiveCamera("rtsp", lambda: place, 0.0, (64, 48), SystemTime())
            began = time.monotonic()
            with pytest.raises(CameraFrozen, match=r"sent nothing for 0.5 s; check its power"):
                camera.open()
            assert time.monotonic() - began < 5

    def test_nobody_there_is_told_with_its_remedy_and_without_the_password(self) -> None:
        server = RtspServer()
        server.close()
        with (
            pytest.raises(CameraFailed, match=r"nobody answers at this address; start the camera") as failure,
            streaming(server),
        ):
            pass
        assert "secret" not in str(failure.value)


class TestWebcam:
    """PyAV's own errors from an opener in the device's place: there is no webcam to unplug here."""

    @pytest.mark.parametrize(
        ("number", "kind", "sentence"),
        [
            (errno.EBUSY, CameraBusy, "another process has it; stop that process"),
            (errno.ENOENT, CameraFailed, "is not there; plug the camera in"),
            (errno.ENODEV, CameraFailed, "is gone; plug the camera in again"),
            (errno.EIO, CameraFailed, "is gone; plug the camera in again"),
            (errno.EACCES, CameraFailed, "add the user to the group video"),
            (errno.EINVAL, CameraFailed, "choose another size, rate or device"),
            (errno.ENOTTY, CameraFailed, "is no camera; choose another device"),
            (errno.ETIMEDOUT, CameraFrozen, "sent nothing for"),
            (errno.ENOMEM, CameraFailed, "check the camera's section"),
        ],
    )
    def test_each_refusal_has_its_sentence(
        self, number: int, kind: type[CameraFailed], sentence: str
    ) -> None:
        def refuse(*_: object, **__: object) -> object:
            with pytest.raises(av.FFmpegError) as refused:
                av.error.err_check(-number)
            raise said("/dev/video7", refused.value, 4.0)

        camera = LiveCamera("v4l2", lambda: Place("/dev/video7"), 10.0, (64, 48), SystemTime(), opener=refuse)
        with pytest.raises(kind, match=sentence) as failure:
            camera.open()
        assert "/dev/video7" in str(failure.value)
        assert type(failure.value) is kind

    def test_a_real_node_that_is_no_camera_is_refused_in_words(self) -> None:
        place = Place(os.devnull, "v4l2", {"video_size": "64x48"})
        camera = LiveCamera("v4l2", lambda: place, 10.0, (64, 48), SystemTime())
        with pytest.raises(CameraFailed, match=r"/dev/null is no camera; choose"):
            camera.open()


def test_an_address_is_shown_without_its_password() -> None:
    assert shown("rtsp://user:secret@10.0.0.7:554/stream?x=1") == "rtsp://10.0.0.7:554/stream"
    assert shown("/dev/video0") == "/dev/video0"
