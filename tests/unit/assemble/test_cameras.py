"""From a section of the configuration to a camera, and what an examination says of it."""

from pathlib import Path

import pytest
from PIL import Image

from agent.adapters.clock_system import SystemClock
from agent.assemble.children.cameras import CameraFinding, examine, open_camera
from agent.assemble.sharing import patience, shared_cameras
from agent.config import Camera, CameraKind, Emission, PipelineSettings, Runtime
from agent.wire.errors import ConfigError


@pytest.mark.parametrize(
    ("section", "kind", "sensor"),
    [
        (Camera(kind=CameraKind.REPLAY, folder="x"), "replay", False),
        (Camera(kind=CameraKind.PATTERN), "pattern", False),
        (Camera(kind=CameraKind.FILE, file="x.mp4"), "file", False),
        (Camera(kind=CameraKind.RTSP, url="rtsp://h/x"), "rtsp", True),
        (Camera(kind=CameraKind.V4L2), "v4l2", True),
        (Camera(kind=CameraKind.PICAMERA2, device="1"), "picamera2", True),
        (Camera(kind=CameraKind.AUTO), "auto", True),
    ],
)
def test_each_kind_is_made_without_touching_the_hardware(section: Camera, kind: str, sensor: bool) -> None:
    camera = open_camera(section, SystemClock())
    assert (camera.kind, camera.sensor) == (kind, sensor)
    camera.close()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (Camera(kind=CameraKind.FILE), "needs camera.file; set it"),
        (Camera(kind=CameraKind.RTSP), "needs camera.url; set it"),
        (Camera(kind=CameraKind.PICAMERA2, device="/dev/video0"), "a camera's number"),
    ],
)
def test_what_a_kind_lacks_is_named(section: Camera, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_camera(section, SystemClock())


def test_an_examination_tells_size_and_speed_or_cause_and_remedy(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    section = Camera(kind=CameraKind.REPLAY, folder=str(tmp_path), rate_fps=0.0, width_px=32, height_px=32)
    found = examine(section, SystemClock())
    assert (found.kind, found.ok) == ("replay", True)
    assert found.detail.startswith("3 frames of 32x32 px in ")
    (tmp_path / "a.png").unlink()
    assert examine(section, SystemClock()) == CameraFinding(
        kind="replay",
        ok=False,
        detail=f"replay folder {tmp_path} holds no jpg, png or bmp picture",
        remedy="put at least one there",
    )


def line(name: str, camera: Camera) -> PipelineSettings:
    return PipelineSettings(name, name, camera, Runtime(), Emission())


def test_only_cameras_that_somebody_shares_have_a_feeder_and_its_rate_sets_the_patience() -> None:
    slow = Camera(kind=CameraKind.PATTERN, rate_fps=0.05)
    lines = [
        line("main", slow),
        line("guest", Camera(kind=CameraKind.SHARED, of="main", every_nth=3)),
        line("alone", Camera(kind=CameraKind.PATTERN, every_nth=100)),
    ]
    sharing = shared_cameras(lines)
    try:
        assert sorted(sharing) == ["guest", "main"]
        waits = {each.name: patience(each, sharing).frame_s for each in lines}
        assert waits["guest"] > 3 * 60
        assert waits["main"] > 60
        assert 30 < waits["alone"] < 60
    finally:
        sharing["main"].close()
