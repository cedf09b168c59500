"""The webcams of this host, by their /dev/video* nodes."""

import fcntl
import os
from pathlib import Path

from agent.core.camera.nodes import CAPABILITY, QUERYCAP, capability, is_webcam
from agent.wire.errors import CameraFailed


def capture_nodes(folder: Path = Path("/dev")) -> list[str]:
    """Paths in the order of their numbers; one that cannot be asked counts, so that its refusal is told."""
    nodes = [path for path in folder.glob("video*") if path.name.removeprefix("video").isdigit()]
    nodes.sort(key=lambda path: int(path.name.removeprefix("video")))
    return [str(path) for path in nodes if _may_be_webcam(path)]


def webcam(device: str) -> str:
    """The node itself; the first one where none is named.

    Raises:
        CameraFailed: it is none of a webcam, or there is none.
    """
    if not device:
        return first_node()
    if not _may_be_webcam(Path(device)):
        raise CameraFailed(
            f"{device} is no webcam's picture; leave camera.device empty for the first that is, and read a "
            "CSI camera with kind picamera2"
        )
    return device


def first_node() -> str:
    """
    Raises:
        CameraFailed: there is none.
    """
    nodes = capture_nodes()
    if not nodes:
        raise CameraFailed("there is no webcam among /dev/video*; plug one in")
    return nodes[0]


def _may_be_webcam(path: Path) -> bool:
    try:
        node = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return True
    reply = bytearray(CAPABILITY.size)
    try:
        fcntl.ioctl(node, QUERYCAP, reply)
    except OSError:
        return False
    finally:
        os.close(node)
    return is_webcam(capability(bytes(reply)))
