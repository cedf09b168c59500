"""The worker: frames in, predictions out, and models exchanged between two frames.

Its threads:

    reader    obeys the supervisor; ends the process when the supervisor is gone
    loader    loads the next model and warms it up while the current one goes on serving
    capture   drains the camera (see `capture`)
    prepare   makes a tensor of the freshest frame just before the model is free (see `slot`)
    main      invokes, and exchanges models
    writer    ranks and sends (see `replies`)
    overdue   once a model is on an Edge TPU: watches for an invocation that hangs (see `overdue`)
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import SimpleQueue
from statistics import median
from threading import Event, Thread
from typing import Final

import numpy as np

from agent.loops.child.answers import Answer
from agent.loops.child.capture import MS, Capture, Taking, prepare
from agent.loops.child.loading import Loaded, OpenRuntime, Refusal, load
from agent.loops.child.overdue import Overdue
from agent.loops.child.replies import Replies
from agent.loops.child.slot import Ready, Slot
from agent.loops.child.snapshot import snapshot
from agent.ports.camera import Camera
from agent.ports.clock import Clock
from agent.ports.pipe import Pipe
from agent.wire.errors import ModelUnloadable
from agent.wire.ipc import (
    FromWorker,
    InvokeFailed,
    Pace,
    Sample,
    Serve,
    ServeFailed,
    Serving,
    Snap,
    Stop,
    ToWorker,
)
from agent.wire.reasons import Reason

log = logging.getLogger(__name__)

FAILURES_MAX: Final = 3
"""Failed invokes in a row after which the process gives up, for the keeper to start a fresh one."""
WAIT_S: Final = 0.5
LEAVE_S: Final = 0.5
"""How long the camera and the pipe each may take when the process ends."""
INTERVALS: Final = 9


@dataclass(frozen=True, slots=True)
class Exchange:
    """A model has taken over and has not yet answered a frame."""

    at_ns: int
    last_ns: int | None
    """When the model before it answered for the last time."""
    usual_ns: float
    """Between two answers of it."""


class Worker:
    def __init__(
        self,
        camera: Camera,
        pipe: Pipe[FromWorker, ToWorker],
        clock: Clock,
        open_runtime: OpenRuntime,
        taking: Taking,
        end_process: Callable[[int], None],
    ) -> None:
        """
        Args:
            camera: used by the capture thread alone.
            pipe: to the supervisor.
            clock: for instants and durations.
            open_runtime: the runtime by its name in a `ModelSpec`.
            taking: how the camera is driven, and what is made of its frames.
            end_process: ends this process with a status, at once, whatever its threads are doing.
        """
        self._pipe, self._clock, self._open_runtime = pipe, clock, open_runtime
        self._end_process = end_process
        self._slot = Slot(clock)
        self._replies = Replies(pipe, clock)
        self._capture = Capture(camera, clock, self._slot, self._replies.put, taking)
        self._orders: SimpleQueue[Serve] = SimpleQueue()
        self._arrived: deque[Loaded] = deque()
        self._overdue = Overdue(self._replies.put)
        self._stopping = Event()
        self._sample_wanted = Event()
        self._serving: Loaded | None = None
        self._exchange: Exchange | None = None
        self._failures = 0
        self._last_ns: int | None = None
        self._intervals_ns: deque[int] = deque(maxlen=INTERVALS)

    def run(self) -> int:
        """Serve until stopped; the exit status of the process."""
        capture = _start(self._capture.run, "capture")
        _start(self._capture.prepare, "prepare")
        writer = _start(self._replies.run, "writer")
        _start(self._obey, "reader")
        _start(self._load, "loader")
        status = self._serve()
        self._overdue.close()
        self._capture.stop()
        self._replies.close()
        capture.join(LEAVE_S)
        writer.join(LEAVE_S)
        return status

    def stop(self) -> None:
        """End `run` after the frame in hand."""
        self._stopping.set()
        self._slot.nudge()

    def _obey(self) -> None:
        while True:
            match self._pipe.receive():
                case Serve() as serve:
                    self._orders.put(serve)
                case Sample():
                    self._sample_wanted.set()
                case Pace(fps_max=fps_max):
                    self._slot.pace(fps_max)
                case Snap() as snap:
                    self._replies.put(snapshot(self._capture.newest, snap))
                case Stop():
                    self.stop()
                case None:
                    self._end_process(0)
                    return

    def _load(self) -> None:
        while True:
            serve = self._orders.get()
            loaded = self._loaded(serve)
            if isinstance(loaded, Refusal):
                model = serve.model
                self._replies.put(
                    ServeFailed(
                        manifest=model.manifest,
                        digest=model.digest,
                        reason=loaded.reason,
                        detail=loaded.detail,
                    )
                )
            else:
                self._arrived.append(loaded)
                self._slot.nudge()

    def _loaded(self, serve: Serve) -> Loaded | Refusal:
        """Ready to serve: the first `invoke` of a model is slower than all others."""
        loaded = load(serve.model, self._open_runtime, self._clock, serve.top)
        if isinstance(loaded, Refusal):
            return loaded
        tensor, began_ns = loaded.model.input, self._clock.monotonic_ns()
        try:
            loaded.model.invoke(np.zeros(tensor.shape, tensor.dtype.value))
        except ModelUnloadable as error:
            return Refusal(Reason.LOAD_FAILED, str(error))
        return replace(loaded, first_ms=(self._clock.monotonic_ns() - began_ns) / MS)

    def _serve(self) -> int:
        while not self._stopping.is_set():
            ready = self._slot.take(WAIT_S)
            self._capture.watch()
            while self._arrived:
                self._take_over(self._arrived.popleft())
            if ready is None or self._serving is None:
                self._announce_unseen()
                continue
            if ready.loaded is not self._serving:
                ready = prepare(ready.frame, self._serving, self._clock)
            self._answer(ready, self._serving)
            if self._failures == FAILURES_MAX:
                return 1
        return 0

    def _take_over(self, loaded: Loaded) -> None:
        if self._exchange is not None:
            self._announce(gap_ns=0)
        usual_ns = median(self._intervals_ns) if self._intervals_ns else 0
        self._exchange = Exchange(self._clock.monotonic_ns(), self._last_ns, usual_ns)
        first = self._serving is None
        self._serving = loaded
        self._failures = 0
        self._overdue.watch(loaded)
        self._capture.prepare_for(loaded)
        if first:
            self._announce(gap_ns=0)

    def _announce(self, *, gap_ns: float) -> None:
        assert self._serving is not None
        model, spec = self._serving.model, self._serving.spec
        self._exchange = None
        self._replies.put(
            Serving(
                manifest=spec.manifest,
                digest=spec.digest,
                delegate=model.delegate,
                delegate_reason="; ".join(filter(None, (model.delegate_reason, spec.choice))),
                runtime=model.runtime,
                load_ms=self._serving.load_ms,
                gap_ms=gap_ns / MS,
            )
        )

    def _announce_unseen(self) -> None:
        """A model that no frame comes for has taken over all the same."""
        if self._exchange is not None and self._clock.monotonic_ns() - self._exchange.at_ns > WAIT_S * 1e9:
            self._announce(gap_ns=0)

    def _answer(self, ready: Ready, loaded: Loaded) -> None:
        frame, began_ns = ready.frame, self._clock.monotonic_ns()
        self._overdue.begin()
        try:
            output = loaded.model.invoke(ready.tensor)
        except ModelUnloadable as error:
            self._failures += 1
            manifest = loaded.spec.manifest
            self._replies.put(InvokeFailed(manifest=manifest, sequence=frame.sequence, detail=str(error)))
            return
        finally:
            done_ns = self._clock.monotonic_ns()
            self._overdue.end((done_ns - began_ns) / MS)
        self._failures = 0
        self._tick(done_ns)
        self._replies.put(
            Answer(
                loaded=loaded,
                output=output,
                sequence=frame.sequence,
                frame=frame.name,
                captured_ns=frame.captured_ns,
                captured_at=frame.captured_at,
                capture_ms=ready.capture_ms,
                pre_ms=ready.pre_ms,
                invoke_ms=(done_ns - began_ns) / MS,
                frames=self._capture.frames,
                dropped=self._slot.dropped,
                sampled=frame.pixels if self._sampling() else None,
            )
        )

    def _sampling(self) -> bool:
        """Whether this frame was asked for; a sample is one frame."""
        wanted = self._sample_wanted.is_set()
        self._sample_wanted.clear()
        return wanted

    def _tick(self, done_ns: int) -> None:
        """Keep the rhythm; the first answer after an exchange shows what the exchange cost."""
        exchange = self._exchange
        if exchange is not None and exchange.last_ns is not None:
            self._announce(gap_ns=max(0.0, done_ns - exchange.last_ns - exchange.usual_ns))
        elif exchange is not None:
            self._announce(gap_ns=0)
        elif self._last_ns is not None:
            self._intervals_ns.append(done_ns - self._last_ns)
        self._last_ns = done_ns


def _start(body: Callable[[], None], name: str) -> Thread:
    """Daemon threads: one that hangs in a driver must not keep a process alive that wants to end."""
    thread = Thread(target=body, name=name, daemon=True)
    thread.start()
    return thread
