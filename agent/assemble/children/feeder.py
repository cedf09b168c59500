"""The feeder process put together."""

import threading
from random import Random
from typing import NoReturn

from msgspec import Struct
from msgspec.structs import replace

from agent.assemble.children import child, private
from agent.config import Camera as CameraSection
from agent.config import CameraKind
from agent.wire import ipc


class FeederSettings(Struct, frozen=True, kw_only=True):
    """All that a feeder is told; the descriptors are inherited."""

    camera: CameraSection
    memory_fd: int
    bell_fds: tuple[int, ...]


def run(settings: FeederSettings) -> NoReturn:
    """Feed until the supervisor ends this process or itself."""
    child.hold_sigterm()
    settings = replace(settings, camera=private.with_address(settings.camera))
    pipe = child.begin(ipc.to_worker, settings.camera)
    from agent.adapters.cameras.shared.writer import RingWriter
    from agent.adapters.clock_system import SystemClock
    from agent.assemble.children import cameras
    from agent.core.camera.health import STREAMED
    from agent.loops.child.feeder import Feeder

    clock, random = SystemClock(), Random()  # noqa: S311 - jitter
    feeder = Feeder(
        cameras.open_camera(settings.camera, clock),
        RingWriter(settings.memory_fd, settings.bell_fds),
        clock,
        lambda attempt: child.camera_delay_s(attempt, random.random()),
        settings.camera.rate_fps,
        STREAMED if settings.camera.kind is CameraKind.RTSP else None,
    )

    def end_with_the_supervisor() -> None:
        while pipe.receive() is not None:
            pass
        child.leave(0)

    threading.Thread(target=end_with_the_supervisor, name="supervisor", daemon=True).start()
    child.on_sigterm(feeder.stop)
    child.leave(feeder.run())
