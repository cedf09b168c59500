from pathlib import Path

import pytest

from agent.adapters.cameras import nodes
from agent.adapters.cameras.nodes import capture_nodes, first_node, webcam
from agent.core.camera.nodes import CAPABILITY
from agent.wire.errors import CameraFailed

DEVICE_CAPS, CAPTURE, M2M = 0x8000_0000, 0x1, 0x8000


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nodes that are files and answer with what is written in them: the driver and the flags of the node."""

    def answer(node: int, request: int, reply: bytearray) -> int:
        assert request == 0x80685600
        path = Path(f"/proc/self/fd/{node}").readlink()
        if not path.read_text():
            raise OSError(25, "Inappropriate ioctl for device")
        driver, flags = path.read_text().split()
        reply[:] = CAPABILITY.pack(driver.encode(), b"", b"", 0, DEVICE_CAPS | CAPTURE, int(flags, 16))
        return 0

    monkeypatch.setattr(nodes.fcntl, "ioctl", answer)
    return tmp_path


def test_webcams_come_in_the_order_of_their_numbers_and_the_rest_of_a_raspberry_pi_is_left_out(
    dev: Path,
) -> None:
    for name, content in {
        "video2": "uvcvideo 1",
        "video3": "uvcvideo 800000",
        "video0": "unicam 1",
        "video10": "bcm2835-codec 8000",
        "video12": "uvcvideo 1",
        "video31": "",
        "videos": "uvcvideo 1",
        "media0": "uvcvideo 1",
    }.items():
        (dev / name).write_text(content)
    assert capture_nodes(dev) == [str(dev / "video2"), str(dev / "video12")]


def test_a_node_that_cannot_be_asked_counts_so_that_its_refusal_is_told(dev: Path) -> None:
    (dev / "video0").symlink_to(dev / "gone")
    assert capture_nodes(dev) == [str(dev / "video0")]


def test_that_there_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "capture_nodes", list)
    with pytest.raises(CameraFailed, match=r"no webcam among /dev/video\*; plug one in"):
        first_node()


def test_a_node_that_was_named_is_taken_unless_it_gives_no_pictures(dev: Path) -> None:
    (dev / "video0").write_text("uvcvideo 1")
    (dev / "video1").write_text("uvcvideo 800000")
    assert webcam(str(dev / "video0")) == str(dev / "video0")
    assert webcam(str(dev / "unplugged")) == str(dev / "unplugged")
    with pytest.raises(CameraFailed, match=r"video1 is no webcam's picture; leave camera.device empty"):
        webcam(str(dev / "video1"))
