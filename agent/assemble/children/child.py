"""How the supervisor's children begin and end, whatever they do in between."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING, NoReturn, TypeVar

import msgspec

from agent.assemble.children import private
from agent.config import Camera, CameraKind
from agent.core.backoff import delay_s

if TYPE_CHECKING:
    from agent.adapters.pipe_stdio import StdioPipe

log = logging.getLogger(__name__)
In = TypeVar("In")


def begin(decoder: msgspec.msgpack.Decoder[In], camera: Camera | None = None) -> "StdioPipe[In]":
    """Caged and bound to the supervisor: call it before any import starts threads (numpy's does), because the
    cage holds for this thread and those that it starts.

    Args:
        decoder: of what the supervisor says.
        camera: what this child opens: one that is a stream needs the network, libcamera may need programs.
    """
    from agent.adapters import cage_linux

    kind = None if camera is None else camera.kind
    cage = cage_linux.close(
        network=kind is CameraKind.RTSP,
        programs=kind in {CameraKind.PICAMERA2, CameraKind.AUTO},
        hidden=private.hidden(),
    )
    from agent.adapters.pipe_stdio import StdioPipe, become_child
    from agent.assemble import logs

    become_child()
    pipe = StdioPipe(decoder)
    logs.start(verbose=False)
    log.info("cage.closed", extra=cage.in_words())
    return pipe


def hold_sigterm() -> None:
    """Until `on_sigterm`; call it before any other thread is there to take the signal."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def on_sigterm(stop: Callable[[], None]) -> None:
    """Call `stop` on a thread of its own when the held signal comes."""

    def wait() -> None:
        signal.sigwait({signal.SIGTERM})
        stop()

    Thread(target=wait, name="signals", daemon=True).start()


def camera_delay_s(attempt: int, chance: float) -> float:
    """How long a camera is left alone after failed attempt number `attempt`."""
    return delay_s(attempt, chance, base_s=0.2, cap_s=10.0)


def leave(status: int) -> NoReturn:
    """Not sys.exit: a thread that hangs in a driver would see the interpreter go away under it."""
    sys.stderr.flush()
    os._exit(status)
