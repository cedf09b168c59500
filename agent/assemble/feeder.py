"""The feeder process put together."""

import logging
import os
import signal
import sys
import threading
from random import Random

from msgspec import Struct

from agent.config import Camera as CameraSection
from agent.config import CameraKind

log = logging.getLogger(__name__)


class FeederSettings(Struct, frozen=True, kw_only=True):
    """All that a feeder is told; the descriptors are inherited."""

    camera: CameraSection
    memory_fd: int
    bell_fds: tuple[int, ...]
    verbose: bool = False


def run(settings: FeederSettings) -> int:
    """Feed until the supervisor ends this process or itself."""
    # Before any import starts threads (numpy's does): the signal must find none that would take it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    from agent.adapters import cage_linux

    # Before them for the same reason: it holds for this thread and those that it starts.
    cage = cage_linux.close(network=settings.camera.kind is CameraKind.RTSP)
    from agent.adapters.camera_shared.writer import RingWriter
    from agent.adapters.clock_system import SystemClock
    from agent.adapters.pipe_stdio import StdioPipe, become_child
    from agent.assemble import cameras, logs
    from agent.core.backoff import delay_s
    from agent.loops.child.feeder import Feeder
    from agent.wire import ipc

    become_child()
    pipe = StdioPipe(ipc.to_worker)
    logs.start(verbose=settings.verbose)
    log.info("cage.closed", extra=cage.in_words())
    clock, random = SystemClock(), Random()  # noqa: S311 - jitter
    feeder = Feeder(
        cameras.open_camera(settings.camera, clock),
        RingWriter(settings.memory_fd, settings.bell_fds),
        clock,
        lambda attempt: delay_s(attempt, random.random(), base_s=0.2, cap_s=10.0),
        settings.camera.rate_fps,
    )

    def stop_on_sigterm() -> None:
        signal.sigwait({signal.SIGTERM})
        feeder.stop()

    def end_with_the_supervisor() -> None:
        while pipe.receive() is not None:
            pass
        os._exit(0)

    for body in (stop_on_sigterm, end_with_the_supervisor):
        threading.Thread(target=body, name=body.__name__, daemon=True).start()
    status = feeder.run()
    sys.stderr.flush()
    # Not sys.exit: a thread that hangs in a driver would see the interpreter go away under it.
    os._exit(status)
