"""The worker process put together."""

import logging
import os
import sys
import threading
from random import Random
from typing import TYPE_CHECKING, NoReturn

from msgspec import Struct
from msgspec.structs import replace

from agent.assemble.children import child, private
from agent.config import Camera as CameraSection
from agent.config import CameraKind
from agent.wire import ipc

if TYPE_CHECKING:
    from agent.ports.camera import Camera
    from agent.ports.clock import Clock
    from agent.ports.runtime import Runtime

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.0005
"""After `invoke()` a thread waits for the interpreter lock up to one such interval; the default of 5 ms
is more than a small model takes."""


class SharedSource(Struct, frozen=True, kw_only=True):
    """A camera that another process reads: inherited descriptors of its frames and of this reader's bell."""

    memory_fd: int
    bell_fd: int
    of: str
    rate_fps: float
    kind: CameraKind


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """All that the worker takes from the configuration; models arrive through the pipe."""

    camera: CameraSection
    shared: SharedSource | None = None
    """Where set, the frames come from there; of `camera` only what is made of them counts."""


def run(settings: WorkerSettings) -> NoReturn:
    """Serve until the supervisor ends this process or itself."""
    child.hold_sigterm()
    settings = replace(settings, camera=private.with_address(settings.camera))
    # The frames of a shared camera come from the feeder, which is the one to open it.
    pipe = child.begin(ipc.to_worker, None if settings.shared else settings.camera)
    from agent.adapters.clock_system import SystemClock
    from agent.core.camera.health import STREAMED
    from agent.loops.child.capture import Taking
    from agent.loops.child.worker import Worker

    sys.setswitchinterval(SWITCH_INTERVAL_S)
    threading.excepthook = _die
    clock, random = SystemClock(), Random()  # noqa: S311 - jitter
    seen = settings.shared.kind if settings.shared else settings.camera.kind
    worker = Worker(
        _camera(settings, clock),
        pipe,
        clock,
        runtime,
        Taking(
            lambda attempt: child.camera_delay_s(attempt, random.random()),
            rate_fps=settings.shared.rate_fps if settings.shared else settings.camera.rate_fps,
            every_nth=settings.camera.every_nth,
            rotate_deg=settings.camera.rotate_deg,
            limits=STREAMED if seen is CameraKind.RTSP else None,
        ),
        os._exit,
    )
    child.on_sigterm(worker.stop)
    child.leave(worker.run())


def _camera(settings: WorkerSettings, clock: "Clock") -> "Camera":
    if settings.shared is None:
        from agent.assemble.children.cameras import open_camera

        return open_camera(settings.camera, clock)
    from agent.adapters.cameras.shared.camera import SharedCamera
    from agent.core.camera.health import answers_within_s

    shared = settings.shared
    return SharedCamera(
        shared.memory_fd, shared.bell_fd, shared.of, clock, read_s=answers_within_s(shared.rate_fps)
    )


def runtime(name: str) -> "Runtime":
    from agent.adapters.edgetpu.delegate import OpenEdgeTpu
    from agent.adapters.edgetpu.host import explain
    from agent.adapters.runtime_tflite import open_runtime
    from agent.core.serving.delegate import RuntimeChoice

    return open_runtime(RuntimeChoice(name), OpenEdgeTpu(explain))


def _die(failed: threading.ExceptHookArgs) -> None:
    """A thread of the worker that dies of a bug takes the process with it, which the keeper sees."""
    log.critical(
        "thread.failed",
        extra={"name_of_thread": failed.thread.name if failed.thread else ""},
        exc_info=failed.exc_value,
    )
    os._exit(70)
