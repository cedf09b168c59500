"""What every camera promises, over each of them."""

import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.adapters.cameras.pattern import PatternCamera
from agent.adapters.cameras.replay import ReplayCamera
from agent.adapters.cameras.video import FileCamera
from agent.core.camera.frames import Frame
from agent.ports.camera import Camera
from tests.fakes.camera import ScriptedCamera
from tests.fakes.clock import FakeClock

HEIGHT, WIDTH = 48, 64
Make = Callable[[float], Camera]


def replay(folder: Path, clock: FakeClock) -> Make:
    for index in range(3):
        Image.new("RGB", (WIDTH * 2, HEIGHT * 3), (index * 80, 10, 20)).save(folder / f"{index}.png")
    return lambda rate_fps: ReplayCamera(folder, rate_fps, clock, (WIDTH, HEIGHT), sleep=clock.advance)


def video(folder: Path, clock: FakeClock) -> Make:
    av = pytest.importorskip("av", reason="PyAV is an extra: pip install 'shoal[camera]'")
    with av.open(folder / "a.mp4", "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for _ in range(3):
            pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    path = str(folder / "a.mp4")
    return lambda rate_fps: FileCamera(path, rate_fps, (WIDTH, HEIGHT), clock, sleep=clock.advance)


def pattern(_: Path, clock: FakeClock) -> Make:
    return lambda rate_fps: PatternCamera(HEIGHT, WIDTH, rate_fps, clock, sleep=clock.advance)


def scripted(_: Path, clock: FakeClock) -> Make:
    def make(rate_fps: float) -> Camera:
        camera = ScriptedCamera()
        period_s = 1 / rate_fps if rate_fps else 0.0
        start_ns, start = clock.monotonic_ns(), clock.now()
        camera.feed(
            *(
                Frame(
                    np.full((HEIGHT, WIDTH, 3), index, np.uint8),
                    index,
                    start_ns + round(index * period_s * 1e9),
                    datetime.fromtimestamp(start.timestamp() + index * period_s, UTC),
                )
                for index in range(20)
            )
        )
        return camera

    return make


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=[replay, pattern, video, scripted], ids=lambda kind: kind.__name__)
def make(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Make:
    return request.param(tmp_path, clock)


def test_frames_are_rgb_of_one_size_and_numbered_upwards(make: Make) -> None:
    camera = make(10.0)
    camera.open()
    frames = [camera.read() for _ in range(6)]
    camera.close()
    assert [frame.sequence for frame in frames] == list(range(6))
    assert {(frame.pixels.shape, frame.pixels.dtype) for frame in frames} == {
        ((HEIGHT, WIDTH, 3), np.dtype(np.uint8))
    }


def test_instants_of_capture_are_a_period_apart_on_both_clocks(make: Make) -> None:
    camera = make(10.0)
    camera.open()
    frames = [camera.read() for _ in range(6)]
    camera.close()
    assert {b.captured_ns - a.captured_ns for a, b in itertools.pairwise(frames)} == {100_000_000}
    assert {
        round((b.captured_at - a.captured_at).total_seconds(), 5) for a, b in itertools.pairwise(frames)
    } == {0.1}
    assert all(frame.captured_at.tzinfo is not None for frame in frames)


def test_closing_twice_and_opening_again_goes_on(make: Make) -> None:
    camera = make(10.0)
    camera.open()
    first = camera.read()
    camera.close()
    camera.close()
    camera.open()
    assert camera.read().sequence > first.sequence
    camera.close()


@pytest.mark.parametrize("kind", [replay, pattern, video], ids=lambda kind: kind.__name__)
class TestWithoutHardware:
    def test_a_late_reader_gets_the_freshest_frame_and_sees_how_many_it_missed(
        self, kind: Callable[[Path, FakeClock], Make], tmp_path: Path, clock: FakeClock
    ) -> None:
        camera = kind(tmp_path, clock)(10.0)
        camera.open()
        assert camera.read().sequence == 0
        clock.advance(0.57)
        late = camera.read()
        assert (late.sequence, clock.monotonic_ns() - late.captured_ns) == (5, 70_000_000)
        assert camera.read().sequence == 6

    def test_lateness_does_not_add_up(
        self, kind: Callable[[Path, FakeClock], Make], tmp_path: Path, clock: FakeClock
    ) -> None:
        camera = kind(tmp_path, clock)(7.0)
        camera.open()
        began_ns = clock.monotonic_ns()
        for _ in range(701):
            frame = camera.read()
            clock.advance(0.01)
        assert frame.sequence == 700
        assert abs(frame.captured_ns - began_ns - 100_000_000_000) < 1000

    def test_at_rate_zero_a_frame_comes_whenever_it_is_asked_for(
        self, kind: Callable[[Path, FakeClock], Make], tmp_path: Path, clock: FakeClock
    ) -> None:
        camera = kind(tmp_path, clock)(0.0)
        assert camera.on_demand
        camera.open()
        before_ns = clock.monotonic_ns()
        assert [camera.read().sequence for _ in range(40)] == list(range(40))
        assert clock.monotonic_ns() == before_ns

    def test_a_pause_between_closing_and_opening_loses_no_number(
        self, kind: Callable[[Path, FakeClock], Make], tmp_path: Path, clock: FakeClock
    ) -> None:
        camera = kind(tmp_path, clock)(10.0)
        camera.open()
        assert camera.read().sequence == 0
        camera.close()
        clock.advance(100)
        camera.open()
        again = camera.read()
        assert (again.sequence, again.captured_ns) == (1, clock.monotonic_ns())

    def test_the_real_clock_paces_it_too(
        self, kind: Callable[[Path, FakeClock], Make], tmp_path: Path, clock: FakeClock
    ) -> None:
        kind(tmp_path, clock)
        size = WIDTH, HEIGHT
        cameras: dict[object, Camera] = {
            replay: ReplayCamera(tmp_path, 50.0, _RealClock()),
            pattern: PatternCamera(HEIGHT, WIDTH, 50.0, _RealClock()),
            video: FileCamera(str(tmp_path / "a.mp4"), 50.0, size, _RealClock()),
        }
        camera = cameras[kind]
        camera.open()
        began = time.monotonic()
        while camera.read().sequence < 5:
            pass
        assert time.monotonic() - began >= 0.1
        camera.close()


class _RealClock(FakeClock):
    def monotonic_ns(self) -> int:
        return time.monotonic_ns()
