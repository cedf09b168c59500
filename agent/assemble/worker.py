"""The worker process put together."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct

from agent.config import Camera as CameraSection
from agent.config import CameraKind

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


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """All that the worker takes from the configuration; models arrive through the pipe."""

    camera: CameraSection
    shared: SharedSource | None = None
    """Where set, the frames come from there; of `camera` only what is made of them counts."""
    verbose: bool = False


def run(settings: WorkerSettings) -> int:
    """Serve until the supervisor ends this process or itself."""
    # Before any import starts threads (numpy's does): the signal must find none that would take it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    from agent.adapters import cage_linux

    # Before them for the same reason: it holds for this thread and those that it starts.
    cage = cage_linux.close(network=settings.camera.kind is CameraKind.RTSP)
    from agent.adapters.clock_system import SystemClock
    from agent.adapters.pipe_stdio import StdioPipe, become_child
    from agent.assemble import logs
    from agent.core.backoff import delay_s
    from agent.loops.child.capture import Taking
    from agent.loops.child.worker import Worker
    from agent.wire import ipc

    become_child()
    pipe = StdioPipe(ipc.to_worker)
    logs.start(verbose=settings.verbose)
    log.info("cage.closed", extra=cage.in_words())
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    threading.excepthook = _die
    clock, random = SystemClock(), Random()  # noqa: S311 - jitter
    worker = Worker(
        _camera(settings, clock),
        pipe,
        clock,
        runtime,
        Taking(
            lambda attempt: delay_s(attempt, random.random(), base_s=0.2, cap_s=10.0),
            rate_fps=settings.shared.rate_fps if settings.shared else settings.camera.rate_fps,
            every_nth=settings.camera.every_nth,
            rotate_deg=settings.camera.rotate_deg,
        ),
        os._exit,
    )
    threading.Thread(target=_stop_on_sigterm, args=(worker.stop,), name="signals", daemon=True).start()
    status = worker.run()
    sys.stderr.flush()
    # Not sys.exit: a thread that hangs in a driver would see the interpreter go away under it.
    os._exit(status)


def _camera(settings: WorkerSettings, clock: "Clock") -> "Camera":
    if settings.shared is None:
        from agent.assemble.cameras import open_camera

        return open_camera(settings.camera, clock)
    from agent.adapters.camera_shared.camera import SharedCamera

    return SharedCamera(settings.shared.memory_fd, settings.shared.bell_fd, settings.shared.of, clock)


def runtime(name: str) -> "Runtime":
    from agent.adapters.edgetpu.delegate import OpenEdgeTpu
    from agent.adapters.edgetpu.host import explain
    from agent.adapters.runtime_tflite import open_runtime
    from agent.core.serving.delegate import RuntimeChoice

    return open_runtime(RuntimeChoice(name), OpenEdgeTpu(explain))


def _stop_on_sigterm(stop: Callable[[], None]) -> None:
    signal.sigwait({signal.SIGTERM})
    stop()


def _die(failed: threading.ExceptHookArgs) -> None:
    """A thread of the worker that dies of a bug takes the process with it, which the keeper sees."""
    log.critical(
        "thread.failed",
        extra={"name_of_thread": failed.thread.name if failed.thread else ""},
        exc_info=failed.exc_value,
    )
    os._exit(70)
