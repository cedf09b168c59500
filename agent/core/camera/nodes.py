"""Which video nodes of a Linux host are webcams.

A Raspberry Pi has a dozen nodes that are none: its decoders, its image processor, and the raw ends of the
CSI cameras, which only libcamera can drive. Reading from some of those waits for ever.

Source: Linux, include/uapi/linux/videodev2.h, `struct v4l2_capability` and `V4L2_CAP_*`.
"""

import struct
from dataclasses import dataclass
from typing import Final

QUERYCAP: Final = 0x80685600
"""VIDIOC_QUERYCAP = _IOR('V', 0, struct v4l2_capability)."""
CAPABILITY: Final = struct.Struct("=16s32s32s3I12x")
_VIDEO_CAPTURE: Final = 0x0000_0001
_M2M: Final = 0x0000_8000 | 0x0000_4000
_DEVICE_CAPS: Final = 0x8000_0000
_NO_WEBCAMS: Final = frozenset(
    {
        "bcm2835-codec",
        "bcm2835-isp",
        "bcm2835-v4l2",
        "pispbe",
        "rp1-cfe",
        "rpi-hevc-dec",
        "rpivid",
        "unicam",
    }
)


@dataclass(frozen=True, slots=True)
class Capability:
    driver: str
    card: str
    flags: int


def capability(reply: bytes) -> Capability:
    """What VIDIOC_QUERYCAP filled in, 104 bytes: of this very node where the driver tells that apart."""
    driver, card, _, _, of_device, of_node = CAPABILITY.unpack(reply)
    flags = of_node if of_device & _DEVICE_CAPS else of_device
    return Capability(_text(driver), _text(card), flags)


def is_webcam(node: Capability) -> bool:
    captures = bool(node.flags & _VIDEO_CAPTURE) and not node.flags & _M2M
    return captures and node.driver not in _NO_WEBCAMS


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("ascii", errors="replace")
