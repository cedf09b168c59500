"""The adapter over picamera2's own Python, which runs over a stand-in for libcamera."""

import gc
import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from agent.adapters.cameras.picamera2 import PiCamera, number
from agent.core.camera import health
from agent.wire.errors import CameraBusy, CameraFailed, CameraFrozen, ConfigError
from tests.fakes import libcamera
from tests.fakes.libcamera import Rig

needs_picamera2 = pytest.mark.skipif(
    importlib.util.find_spec("picamera2") is None,
    reason="picamera2's own Python is not here: pip install --no-deps picamera2==0.3.38",
)
# picamera2 starts its threads the old way.
pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning")


class SystemTime:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def synchronized(self) -> bool:
        return True


@contextmanager
def camera(
    rig: Rig, size: tuple[int, int] = (224, 224), rate_fps: float = 100.0, *, fresh: bool = False
) -> Iterator[PiCamera]:
    with libcamera.installed(rig):
        camera = PiCamera(0, rate_fps, size, SystemTime(), fresh=fresh)
        try:
            yield camera
        finally:
            camera.close()


def assert_red_left_blue_right(pixels: np.ndarray) -> None:
    left, right = pixels[:, 2:9].mean((0, 1)), pixels[:, -9:-2].mean((0, 1))
    assert left[0] > 190
    assert right[2] > 190
    assert max(left[1], left[2], right[0], right[1]) < 40


@needs_picamera2
class TestOverItsSource:
    @pytest.mark.parametrize("align", [1, 32, 64])
    @pytest.mark.parametrize(("asked", "given"), [((224, 224), (224, 224)), ((299, 225), (298, 224))])
    def test_frames_have_the_asked_size_made_even_without_the_padding_of_their_rows(
        self, align: int, asked: tuple[int, int], given: tuple[int, int]
    ) -> None:
        with camera(Rig(align=align), asked) as pi:
            pi.open()
            frames = [pi.read() for _ in range(3)]
        for frame in frames:
            assert frame.pixels.shape == (given[1], given[0], 3)
            assert frame.pixels.flags.c_contiguous
            assert_red_left_blue_right(frame.pixels)
        assert [frame.sequence for frame in frames] == [0, 1, 2]
        assert (frames[0].pixels != frames[1].pixels).any()

    def test_it_asks_for_what_a_small_fast_loop_needs(self) -> None:
        rig = Rig()
        with camera(rig, rate_fps=20.0) as pi:
            pi.open()
            asked, main = rig.asked, rig.configured.at(0)
            sensor = rig.configured.sensor_config.output_size
            configuration = pi._camera.camera_configuration()
            keeps = pi._camera._max_queue_len
        assert asked["FrameDurationLimits"] == (50_000, 50_000)
        assert (str(main.pixel_format), main.buffer_count) == ("BGR888", 4)
        assert (configuration["display"], configuration["encode"], configuration["lores"]) == (
            None,
            None,
            None,
        )
        assert configuration["main"]["preserve_ar"]
        assert keeps == 0
        assert (sensor.width, sensor.height) == (1640, 1232)

    def test_at_rate_zero_it_keeps_the_cameras_own_rhythm(self) -> None:
        rig = Rig()
        with camera(rig, rate_fps=0.0) as pi:
            pi.open()
        assert rig.asked["FrameDurationLimits"] == (33_333, 33_333)

    def test_a_frame_is_as_old_as_its_stamp_says_and_no_buffer_is_kept(self) -> None:
        rig = Rig()
        with camera(rig) as pi:
            pi.open()
            starved = rig.starved
            for _ in range(30):
                frame = pi.read()
                age_ms = (time.monotonic_ns() - frame.captured_ns) / 1e6
                assert 0 <= age_ms < 500
                assert abs(frame.captured_at.timestamp() - time.time()) < 0.6
            assert rig.starved == starved
        assert rig.acquired == 0

    def test_a_fresh_frame_was_exposed_after_it_was_asked_for(self) -> None:
        with camera(Rig(), fresh=True) as pi:
            pi.open()
            for _ in range(5):
                asked_ns = time.monotonic_ns()
                assert pi.read().captured_ns > asked_ns

    @pytest.mark.parametrize(
        ("grants", "note"),
        [("BGR888", ""), ("XBGR8888", ""), ("RGB888", "put right"), ("XRGB8888", "put right")],
    )
    def test_whatever_order_is_granted_the_frames_are_red_green_blue(self, grants: str, note: str) -> None:
        with camera(Rig(grants=grants, align=64)) as pi:
            pi.open()
            frame = pi.read()
            said = pi.note
        assert_red_left_blue_right(frame.pixels)
        assert note in said
        assert bool(said) is bool(note)

    def test_a_library_of_another_convention_is_found_out_by_its_own_picture(self) -> None:
        rig = Rig()
        with camera(rig) as pi:
            from picamera2.request import Helpers

            usual = Helpers._get_pil_mode
            Helpers._get_pil_mode = lambda self, name: usual(self, name)[::-1]
            try:
                pi.open()
            finally:
                Helpers._get_pil_mode = usual
            assert "put right" in pi.note

    def test_a_format_without_colours_side_by_side_is_refused(self) -> None:
        with camera(Rig(grants="YUYV")) as pi:
            refuse(pi, CameraFailed, "grants the format YUYV, not BGR888; use kind v4l2")

    @pytest.mark.parametrize(
        ("rig", "kind", "said"),
        [
            (Rig(busy=True), CameraBusy, "another process has the camera; stop that process"),
            (Rig(attached=False), CameraFailed, "no CSI camera is attached; check its ribbon cable"),
            (Rig(id="/base/usb-1.2:1.0-046d:0825"), CameraFailed, "USB webcam; use kind v4l2"),
        ],
        ids=["busy", "absent", "usb"],
    )
    def test_each_way_not_to_open_has_its_sentence_and_leaves_nothing_open(
        self, rig: Rig, kind: type[CameraFailed], said: str
    ) -> None:
        with camera(rig) as pi:
            refuse(pi, kind, said)
            before = open_descriptors()
            for _ in range(10):
                refuse(pi, kind, said)
            assert open_descriptors() == before
            rig.busy = False
            if kind is CameraBusy:
                pi.open()
                assert_red_left_blue_right(pi.read().pixels)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_memory_that_may_not_be_used_is_told_and_the_camera_is_let_go(self) -> None:
        rig = Rig(heap=False)
        with camera(rig) as pi:
            refuse(pi, CameraFailed, "add the user to the group video")
            # What picamera2 left half made stumbles in its finaliser: here, and not in a later test.
            gc.collect()
        assert rig.acquired == 0

    def test_a_camera_that_falls_silent_is_frozen_and_comes_back_when_it_is_opened_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "ANSWER_S", 0.1)
        rig = Rig()
        with camera(rig) as pi:
            pi.open()
            last = pi.read().sequence
            rig.silent.set()
            with pytest.raises(CameraFrozen, match="check that its ribbon cable sits firmly"):
                read_on(pi)
            pi.close()
            assert rig.acquired == 0
            rig.silent.clear()
            pi.open()
            assert pi.read().sequence > last


def refuse(pi: PiCamera, kind: type[CameraFailed], said: str) -> None:
    with pytest.raises(kind, match=said) as failure:
        pi.open()
    assert type(failure.value) is kind


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def read_on(pi: PiCamera) -> None:
    for _ in range(20):
        pi.read()


@pytest.mark.skipif(importlib.util.find_spec("libcamera") is not None, reason="this host has libcamera")
def test_without_it_the_way_to_install_it_is_told() -> None:
    with pytest.raises(CameraFailed, match=r"apt install python3-picamera2, .* --system-site-packages"):
        PiCamera(0, 10.0, (224, 224), SystemTime()).open()


@pytest.mark.parametrize(("device", "expected"), [("", 0), ("0", 0), ("1", 1)])
def test_a_camera_is_named_by_its_number(device: str, expected: int) -> None:
    assert number(device) == expected


def test_a_path_is_no_number() -> None:
    with pytest.raises(ConfigError, match="camera's number, such as 0 or 1"):
        number("/dev/video0")
