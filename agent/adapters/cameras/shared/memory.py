"""The memory of a ring and the bells that wake its readers: anonymous, inherited by descriptor, gone with
the last process that holds them.
"""

import os
import threading

from agent.core.camera.ring import ring_bytes

_fence_lock = threading.Lock()


def allocate(width_px: int, height_px: int) -> int:
    """Descriptor of a ring that no process has written to yet; its pages are taken when they are used."""
    memory = os.memfd_create("shoal-camera", os.MFD_CLOEXEC)
    os.ftruncate(memory, ring_bytes(width_px, height_px))
    return memory


def bell() -> int:
    """Descriptor of what one reader waits for."""
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def fence() -> None:
    """Nothing is moved across, in either direction: what was written before is seen before what follows.

    Python has no fence of its own. Letting go of a lock orders what went before, taking one orders what
    comes after; only after the second pair is the middle empty, since on ARM a release is not overtaken by
    a later acquire.
    """
    for _ in range(2):
        with _fence_lock:
            pass
