"""Keeps the worker process alive, and serving what it served.

A crash during a load is laid at the door of the model being loaded only if that was the only one in the
process: with another one serving beside it, the load is first tried again alone. Not so for a model on an
Edge TPU, whose faults end the process that uses it: its load has failed at once, and the one that served
beside it is back first.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from agent.core import backoff
from agent.core.serving import failover
from agent.core.serving.failover import Cause
from agent.loops.keeping.life import Death, Life, Order, Patience, WorkerChild
from agent.ports.children import Observation
from agent.wire.errors import Unavailable
from agent.wire.ipc import (
    CameraTurned,
    FromWorker,
    InvokeFailed,
    InvokeHangs,
    ModelSpec,
    Pace,
    Predicted,
    Sample,
    Sampled,
    Serve,
    ServeFailed,
    Serving,
    Snap,
    SnapFailed,
    Snapped,
)
from agent.wire.reasons import Reason
from agent.wire.reports import CAMERA_OUT

log = logging.getLogger(__name__)

FIRST_DELAY_MAX_S: Final = 0.25
CALM_S: Final = 60.0
"""A worker that has served this long has left its crashes behind."""
SERVING_DELAY_MAX_S: Final = 0.5
"""Before a worker that had answered frames is started again: with its start it must be back in 2 s."""
USELESS_DELAY_MAX_S: Final = 30.0
"""Before one that has died without ever answering."""


class Random(Protocol):
    def random(self) -> float: ...


Spawn = Callable[[], Awaitable[WorkerChild]]


class WorkerKeeper:
    """See `agent.ports.children.Worker`."""

    def __init__(
        self,
        spawn: Spawn,
        random: Random,
        *,
        top: int = 5,
        patience: Patience | None = None,
    ) -> None:
        self._spawn, self._random, self._top = spawn, random, top
        self._patience = patience or Patience()
        self._current: ModelSpec | None = None
        self._order: Order | None = None
        self._one_at_a_time = asyncio.Lock()
        self._ordered = asyncio.Event()
        self._samples: list[asyncio.Future[Sampled]] = []
        self._snaps: list[asyncio.Future[Snapped | SnapFailed]] = []
        self._sinks: list[Callable[[Observation], None]] = []
        self._crash_sinks: list[Callable[[str], None]] = []
        self._death_sink: Callable[[Death], None] = lambda _: None
        self._retaken_sink: Callable[[Serving], None] = lambda _: None
        self._life: Life | None = None
        self._crashes = 0
        self._useless_lives = 0
        self._rests = False
        self._pace = Pace()
        self.restarts = 0
        self.pid: int | None = None

    async def serve(self, model: ModelSpec) -> Serving | ServeFailed:
        async with self._one_at_a_time:
            order = Order(model, asyncio.get_running_loop().create_future())
            self._order = order
            self._ordered.set()
            try:
                if self._life is not None:
                    self._send_order(self._life, order)
                return await order.answer
            finally:
                self._order = None
                self._ordered.clear()

    async def rest(self) -> None:
        """A process that has nothing to serve is had by starting a new one; that is no crash."""
        self._current = None
        if self._life is not None:
            self._rests = True
            self._life.child.kill()

    async def sample(self, timeout_s: float) -> Sampled | None:
        wanted: asyncio.Future[Sampled] = asyncio.get_running_loop().create_future()
        self._samples.append(wanted)
        if self._life is not None:
            self._life.child.send(Sample())
        try:
            async with asyncio.timeout(timeout_s):
                return await wanted
        except TimeoutError:
            return None
        finally:
            if wanted in self._samples:
                self._samples.remove(wanted)

    def pace(self, pace: Pace) -> None:
        self._pace = pace
        if self._life is not None:
            self._life.child.send(pace)
            self._look_again(self._life)

    async def snap(self, wanted: Snap, timeout_s: float) -> Snapped | SnapFailed:
        if self._life is None:
            return SnapFailed(detail="the worker is just being started again")
        answer: asyncio.Future[Snapped | SnapFailed] = asyncio.get_running_loop().create_future()
        self._snaps.append(answer)
        self._life.child.send(wanted)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            return SnapFailed(detail=f"the worker did not hand a frame over within {timeout_s:g} s")
        finally:
            self._snaps.remove(answer)

    def observe(self, sink: Callable[[Observation], None]) -> None:
        self._sinks.append(sink)

    def on_crash(self, sink: Callable[[str], None]) -> None:
        self._crash_sinks.append(sink)

    def on_death(self, sink: Callable[[Death], None]) -> None:
        """Called before the next process is started, so that `serve_next` can say what that one serves."""
        self._death_sink = sink

    def on_retaken(self, sink: Callable[[Serving], None]) -> None:
        """Called when a new process has taken up what it was to serve."""
        self._retaken_sink = sink

    @property
    def current(self) -> ModelSpec | None:
        """What is served, or will be as soon as the process is back."""
        return self._current

    def serve_next(self, model: ModelSpec | None) -> None:
        """What the next process takes up instead of what the last one served."""
        self._current = model

    async def run(self) -> None:
        while True:
            death = await self._live()
            if death is None:
                continue
            self.restarts += 1
            self._death_sink(death)
            for sink in self._crash_sinks:
                sink(death.how)
            await self._pause()

    async def _live(self) -> Death | None:
        """One process from its start to its end; how it ended unasked."""
        try:
            child = await self._spawn()
        except Unavailable as error:
            self._useless_lives += 1
            return Death(str(error), Cause.START, on_edgetpu=False)
        self._life, self.pid = Life(child, asyncio.get_running_loop().time()), child.pid
        try:
            self._begin(self._life)
            hung = await self._listen(self._life)
            if hung is not None:
                child.kill()
        finally:
            life, self._life, self.pid = self._life, None, None
            await child.close()
        if self._rests:
            self._rests = False
            return None
        how = hung or await child.ended()
        models = self._current, None if self._order is None else self._order.model
        on_edgetpu = any(model is not None and model.edgetpu is not None for model in models)
        self._bury(life, how)
        if life.camera_stuck:
            return Death(how, Cause.CAMERA, on_edgetpu=False)
        cause = failover.cause(how, started=True, hung=hung is not None, on_edgetpu=on_edgetpu)
        return Death(how, cause, on_edgetpu)

    def _begin(self, life: Life) -> None:
        """After a crash an order goes first, alone: what served before may be what crashes."""
        log.info("worker.started", extra={"pid": life.child.pid})
        if self._pace != Pace():
            life.child.send(self._pace)
        if self._order is not None:
            self._order.alone = True
            self._send_order(life, self._order)
        elif self._current is not None:
            self._take_up_again(life)
        if self._samples:
            life.child.send(Sample())

    def _take_up_again(self, life: Life) -> None:
        if self._current is not None:
            life.reserving = self._current
            life.child.send(Serve(model=self._current, top=self._top))

    def _send_order(self, life: Life, order: Order) -> None:
        order.alone = order.alone or self._current is None
        order.sent_s = asyncio.get_running_loop().time()
        if life.watch is not None:
            life.watch.reschedule(order.sent_s + self._patience.load_s)
        life.child.send(Serve(model=order.model, top=self._top))

    async def _listen(self, life: Life) -> str | None:
        """Until the process ends by itself (None), or must be killed for the reason returned."""
        while True:
            try:
                async with asyncio.timeout(self._limit_s(life)) as life.watch:
                    message = await life.child.receive()
            except TimeoutError:
                return self._hung(life)
            finally:
                life.watch = None
            if message is None:
                return None
            fault = self._hear(life, message)
            if fault is not None:
                return fault

    def _limit_s(self, life: Life) -> float | None:
        """How long to wait for the next message."""
        patience = self._patience
        if self._order is not None:
            return self._order.sent_s + patience.load_s - asyncio.get_running_loop().time()
        if life.reserving is not None:
            return patience.start_s
        if self._current is None or life.camera_out or self._pace.fps_max == 0:
            return None
        return patience.frame_s + (1 / self._pace.fps_max if self._pace.fps_max else 0.0)

    def _look_again(self, life: Life) -> None:
        """A message that is waited for meanwhile has another limit now."""
        if life.watch is not None:
            limit_s = self._limit_s(life)
            life.watch.reschedule(None if limit_s is None else asyncio.get_running_loop().time() + limit_s)

    def _hung(self, life: Life) -> str:
        patience = self._patience
        if self._order is not None:
            return f"hung: a new model was not loaded within {patience.load_s:g} s"
        if life.reserving is not None:
            return f"hung: its model was not loaded within {patience.start_s:g} s"
        return f"hung: no prediction for {patience.frame_s:g} s"

    def _hear(self, life: Life, message: FromWorker) -> str | None:
        """React to the message; a reason to kill the process, if it is one."""
        match message:
            case Serving() | ServeFailed():
                return self._answered(life, message)
            case Sampled():
                for wanted in self._samples:
                    if not wanted.done():
                        wanted.set_result(message)
            case Snapped() | SnapFailed():
                for asked in self._snaps:
                    if not asked.done():
                        asked.set_result(message)
            case Predicted() | InvokeFailed() | CameraTurned():
                return self._observed(life, message)
            case InvokeHangs(detail=detail):
                return detail
        return None

    def _observed(self, life: Life, message: Observation) -> str | None:
        self._note(life, message)
        for sink in self._sinks:
            sink(message)
        if isinstance(message, CameraTurned) and message.stuck:
            life.camera_stuck = True
            return f"the camera hangs: {message.detail}"
        return None

    def _note(self, life: Life, message: Observation) -> None:
        match message:
            case Predicted():
                life.answered = True
                self._useless_lives = 0
            case CameraTurned(state=state):
                life.camera_out = state in CAMERA_OUT
            case InvokeFailed():
                pass

    def _answered(self, life: Life, message: Serving | ServeFailed) -> str | None:
        order, again = self._order, life.reserving
        if again is not None and _is_about(message, again):
            life.reserving = None
            if isinstance(message, ServeFailed):
                return f"cannot serve {again.name} {again.version} again: {message.detail}"
            self._retaken_sink(message)
        elif order is not None and _is_about(message, order.model):
            if isinstance(message, Serving):
                self._current = order.model
            elif order.alone:
                self._take_up_again(life)
            self._conclude(order, message)
        return None

    def _conclude(self, order: Order, answer: Serving | ServeFailed) -> None:
        self._order = None
        if not order.answer.done():
            order.answer.set_result(answer)

    def _bury(self, life: Life, why: str) -> None:
        """An order that was alone in the process is to blame for its end, or one for an Edge TPU."""
        lived_s = asyncio.get_running_loop().time() - life.began_s
        if lived_s > CALM_S:
            self._crashes = self._useless_lives = 0
        self._crashes += 1
        if not life.answered:
            self._useless_lives += 1
        order = self._order
        if life.camera_stuck or order is None:
            return
        if order.alone or order.model.edgetpu is not None:
            self._conclude(
                order,
                ServeFailed(
                    manifest=order.model.manifest,
                    digest=order.model.digest,
                    reason=Reason.WORKER_CRASHED,
                    detail=f"the worker that loaded it ended: {why}",
                ),
            )

    async def _pause(self) -> None:
        """Wait before the next start; an order cuts it short."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._delay_s()):
                await self._ordered.wait()

    def _delay_s(self) -> float:
        """None after a first crash; then jitter, with a low limit for a worker that is of use."""
        if self._useless_lives > 1:
            attempt, cap_s = self._useless_lives - 2, USELESS_DELAY_MAX_S
        elif self._crashes > 1:
            attempt, cap_s = self._crashes - 2, SERVING_DELAY_MAX_S
        else:
            return 0.0
        return backoff.delay_s(attempt, self._random.random(), base_s=FIRST_DELAY_MAX_S, cap_s=cap_s)


def _is_about(message: Serving | ServeFailed, model: ModelSpec) -> bool:
    return (message.manifest, message.digest) == (model.manifest, model.digest)
