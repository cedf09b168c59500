"""What picamera2 and libcamera say when they fail, as one sentence with its remedy.

Sources: picamera2 0.3.38 (picamera2.py, dma_heap.py) for its own words; libcamera's Python binding raises
the system's error text of `Camera::acquire()`; the threads raspberrypi/picamera2 #399, #587, #627, #748 for
older words of both.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Fault:
    sentence: str
    busy: bool = False


NO_ANSWER: Final = "the camera gives no frames; check that its ribbon cable sits firmly at both ends"
_KNOWN: Final[tuple[tuple[tuple[str, ...], Fault], ...]] = (
    (
        ("resource busy", "in use by another process", "failed to acquire", "unexpected code: -16"),
        Fault("another process has the camera; stop that process, or share its camera", busy=True),
    ),
    (
        ("dmaheap", "dma_heap", "failed to allocate capture buffers"),
        Fault(
            "the camera's memory may not be used (/dev/dma_heap); add the user to the group video, "
            "and free memory for CMA if that does not help"
        ),
    ),
    (
        ("camera number", "not found", "index out of range"),
        Fault(
            "no CSI camera is attached; check its ribbon cable and what `rpicam-hello --list-cameras` says"
        ),
    ),
    (
        ("numpy.dtype size changed", "numpy.core.multiarray", "_array_api"),
        Fault("picamera2 of this system was built for another numpy; install numpy<2 in this environment"),
    ),
    (
        ("no module named 'libcamera'", "no module named 'picamera2'"),
        Fault(
            "picamera2 is not to be had in this environment; apt install python3-picamera2, and make the "
            "environment with /usr/bin/python3 -m venv --system-site-packages"
        ),
    ),
    (
        ("permission denied",),
        Fault("the camera may not be opened by this user; add the user to the group video"),
    ),
    (("timed out", "timeout"), Fault(NO_ANSWER)),
)


def fault(said: str) -> Fault:
    """The known fault that these words tell of, or the words themselves."""
    lower = said.lower()
    for signs, known in _KNOWN:
        if any(sign in lower for sign in signs):
            return known
    return Fault(f"picamera2 failed: {said}; try `rpicam-hello` to see whether the camera works at all")
