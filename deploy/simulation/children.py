"""What stands in for the two child processes of a device: no camera, no runtime, the same messages."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from agent.ports.children import SpawnCanary
from agent.wire import codec
from agent.wire.documents import GoldenSet
from agent.wire.errors import StoreFailed
from agent.wire.ipc import (
    CameraTurned,
    Findings,
    FromWorker,
    GoldenFinding,
    InvokeFailed,
    ModelSpec,
    Pace,
    Predicted,
    Prove,
    ProveFailed,
    Sample,
    Sampled,
    Serve,
    Serving,
    Shadow,
    Shadowed,
    Snap,
    SnapFailed,
    Stop,
    ToWorker,
    Tune,
    Tuned,
)
from agent.wire.reasons import Reason
from agent.wire.reports import CameraState, Ranked, StageLatency
from deploy.simulation.scenario import Behaviour, Fate, Fault, chance

LABELS: Final = tuple(f"part {number}" for number in range(10))
RUNTIME: Final = "ai-edge-litert 2.3.0"
LOAD_S: Final = 0.05
NEW_FRAMES: Final = 40
"""So many frames of a release are seen at the full rate, and so are those that somebody samples."""
CALM_S: Final = 4.0
"""Between two frames after that: a fleet that is watched for its rollouts need not spend its time on them."""
SLOW_TIMES: Final = 10.0
_RANKED: Final = tuple(
    tuple(
        (
            Ranked(index=best, label=LABELS[best], score=score / 100),
            Ranked(index=(best + 1) % 10, label=LABELS[(best + 1) % 10], score=(99 - score) / 100),
        )
        for score in range(100)
    )
    for best in range(10)
)
"""By the best class and its score in hundredths."""


@dataclass(frozen=True, slots=True)
class Answer:
    predictions: tuple[Ranked, ...]
    invoke_ms: float


@dataclass(slots=True)
class Mind:
    """How the releases behave on one device, and what it has met of them. It outlives restarts."""

    device: str
    seed: int
    behaviours: dict[str, Behaviour]
    """By version."""
    faults: dict[str, Fault]
    """By version, what it does to this very device."""
    befall: Callable[[Fate], None] = lambda _: None
    """Told of what ends the whole device."""
    met: set[str] = field(default_factory=set)
    """Versions that a process of this device has run."""
    serves: str = ""
    fallen: dict[str, Fate] = field(default_factory=dict)
    """Versions that have done their worst."""

    def fault(self, version: str) -> Fault | None:
        return self.faults.get(version)

    def has(self, version: str, *fates: Fate) -> bool:
        fault = self.faults.get(version)
        return fault is not None and fault.fate in fates

    def answer(self, version: str, sequence: int) -> Answer:
        """To this frame; every release sees the same things."""
        behaviour = self.behaviours[version]
        seen = int(chance(self.device, "frame", sequence) * len(LABELS))
        luck = chance(self.seed, self.device, version, sequence)
        right = luck < behaviour.accuracy
        score = behaviour.confidence * (1.0 if right else 0.6) + 0.1 * (luck - 0.5)
        slow = SLOW_TIMES if self.has(version, Fate.SLOW) and self.serves == version else 1.0
        best = seen if right else (seen + 3) % len(LABELS)
        return Answer(
            _RANKED[best][min(99, max(1, int(score * 100)))],
            behaviour.invoke_ms * slow * (1.0 + behaviour.jitter * (2.0 * luck - 1.0)),
        )

    def errs(self, version: str, sequence: int) -> bool:
        if self.has(version, Fate.ERRS):
            return True
        share = self.behaviours[version].error_share
        return share > 0.0 and chance(self.seed, self.device, "error", version, sequence) < share


def serving(model: ModelSpec) -> Serving:
    return Serving(
        manifest=model.manifest,
        digest=model.digest,
        delegate="edgetpu" if model.edgetpu is not None else "xnnpack",
        delegate_reason="simulated",
        runtime=RUNTIME,
        load_ms=LOAD_S * 1000,
        gap_ms=1.0,
    )


class SimulatedWorker:
    """See `agent.ports.pipe.Child`: a worker that sees a scene which only depends on the frame's number."""

    def __init__(self, mind: Mind, fps: float, now: Callable[[], datetime]) -> None:
        self.pid = os.getpid()
        self._mind, self._fps, self._now = mind, fps, now
        self._loop = asyncio.get_running_loop()
        self._out: asyncio.Queue[FromWorker | None] = asyncio.Queue()
        self._end: asyncio.Future[str] = self._loop.create_future()
        self._model: ModelSpec | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sequence = self._served = 0
        self._samples = 0
        self._pace = Pace()
        self._out.put_nowait(CameraTurned(state=CameraState.LIVE, kind="simulated"))

    def send(self, message: ToWorker) -> None:
        if self._end.done():
            return
        match message:
            case Serve(model=model):
                self._loop.call_later(LOAD_S, self._switch, model)
            case Sample():
                self._samples += 1
                self._due(1.0 / self._fps)
            case Pace() as pace:
                self._pace = pace
            case Snap():
                self._out.put_nowait(SnapFailed(detail="a simulated device has no camera"))
            case Stop():
                self._die("exit status 0")

    async def receive(self) -> FromWorker | None:
        return await self._out.get()

    def kill(self) -> None:
        self._die("killed by SIGKILL")

    async def ended(self) -> str:
        return await asyncio.shield(self._end)

    async def close(self) -> None:
        self._die("exit status 0")

    def _die(self, how: str) -> None:
        if not self._end.done():
            self._end.set_result(how)
            self._mind.serves = ""
            if self._timer is not None:
                self._timer.cancel()
            self._out.put_nowait(None)

    def _switch(self, model: ModelSpec) -> None:
        if self._end.done():
            return
        self._model, self._served = model, 0
        self._mind.met.add(model.version)
        self._mind.serves = model.version
        self._out.put_nowait(serving(model))
        if self._timer is None:
            # Not all devices of a fleet see their frames at one instant.
            self._timer = self._loop.call_later(chance(self._mind.device, "phase") / self._fps, self._frame)
        else:
            self._due(1.0 / self._fps)

    def _due(self, within_s: float) -> None:
        """The next frame comes no later than that."""
        if self._timer is not None and self._timer.when() > self._loop.time() + within_s:
            self._timer.cancel()
            self._timer = self._loop.call_later(within_s, self._frame)

    def _frame(self) -> None:
        fps = self._fps if self._pace.fps_max is None else min(self._fps, self._pace.fps_max)
        calm = self._served > NEW_FRAMES
        self._timer = self._loop.call_later(max(1.0 / max(fps, 0.1), CALM_S if calm else 0.0), self._frame)
        if self._model is None or fps <= 0.0:
            return
        self._sequence += 1
        self._served += 1
        fault = self._mind.fault(self._model.version)
        if fault is not None and self._served > fault.after_frames and self._falls(fault.fate, self._model):
            return
        self._see(self._model)

    def _falls(self, fate: Fate, model: ModelSpec) -> bool:
        """Whether this was its last frame."""
        match fate:
            case Fate.HANGS | Fate.DIES | Fate.LIES | Fate.REBOOTS:
                self._mind.fallen[model.version] = fate
                self._mind.befall(fate)
                return True
            case Fate.CRASHES:
                self._mind.fallen[model.version] = fate
                self._die("killed by SIGSEGV")
                return True
            case _:
                return False

    def _see(self, model: ModelSpec) -> None:
        if self._mind.errs(model.version, self._sequence):
            failed = InvokeFailed(manifest=model.manifest, sequence=self._sequence, detail="simulated")
            self._out.put_nowait(failed)
            return
        answer = self._mind.answer(model.version, self._sequence)
        if self._samples:
            self._samples = 0
            self._out.put_nowait(_sampled(model, self._sequence, answer))
        self._out.put_nowait(_predicted(model, self._sequence, answer, self._now()))


def _sampled(model: ModelSpec, sequence: int, answer: Answer) -> Sampled:
    return Sampled(
        sequence=sequence,
        height_px=1,
        width_px=1,
        rgb=b"\0\0\0",
        manifest=model.manifest,
        predictions=answer.predictions,
        invoke_ms=answer.invoke_ms,
    )


def _predicted(model: ModelSpec, sequence: int, answer: Answer, at: datetime) -> Predicted:
    return Predicted(
        manifest=model.manifest,
        sequence=sequence,
        frame="",
        captured_at=at,
        predictions=answer.predictions,
        latency_ms=StageLatency(
            capture=1.0, pre=1.0, invoke=answer.invoke_ms, post=0.2, age=answer.invoke_ms + 2.2
        ),
        frames=sequence,
        frames_dropped=0,
    )


class SimulatedCanary:
    """See `agent.ports.children.Canary`."""

    def __init__(self, mind: Mind) -> None:
        self._mind = mind
        self._model: ModelSpec | None = None

    async def prove(self, prove: Prove, timeout_s: float) -> Findings | ProveFailed:
        del timeout_s
        model = self._model = prove.model
        self._mind.met.add(model.version)
        await asyncio.sleep(LOAD_S)
        if self._mind.has(model.version, Fate.CANARY_CRASHES):
            self._mind.fallen[model.version] = Fate.CANARY_CRASHES
            return ProveFailed(
                manifest=model.manifest, reason=Reason.CANARY_CRASHED, detail="killed by SIGSEGV"
            )
        golden = await asyncio.to_thread(_golden, Path(prove.golden_path))
        if self._mind.has(model.version, Fate.REFUSED):
            self._mind.fallen[model.version] = Fate.REFUSED
            golden = tuple(replace(case, found_top=case.found_top + 1) for case in golden)
        return _findings(model, golden, self._mind.answer(model.version, 0).invoke_ms)

    async def shadow(self, frame: Shadow, timeout_s: float) -> Shadowed | ProveFailed:
        del timeout_s
        assert self._model is not None
        answer = self._mind.answer(self._model.version, frame.sequence)
        return Shadowed(
            sequence=frame.sequence,
            predictions=answer.predictions,
            invoke_ms=answer.invoke_ms,
            finite=True,
        )

    async def tune(self, tune: Tune, timeout_s: float) -> Tuned | ProveFailed:
        del timeout_s
        return Tuned(invoke_ms=tuple(self._mind.answer(model.version, 0).invoke_ms for model in tune.models))

    async def close(self) -> None:
        pass


def _golden(path: Path) -> tuple[GoldenFinding, ...]:
    """Every golden input gives what it must."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreFailed(f"could not read the golden set {path}: {error.strerror}") from error
    return tuple(
        GoldenFinding(
            expected=case.expected,
            found_top=case.expected[0][0],
            found=tuple(score for _, score in case.expected),
            finite=True,
        )
        for case in codec.decode(content, GoldenSet).cases
    )


def _findings(model: ModelSpec, golden: tuple[GoldenFinding, ...], invoke_ms: float) -> Findings:
    told = serving(model)
    return Findings(
        manifest=model.manifest,
        delegate=told.delegate,
        delegate_reason=told.delegate_reason,
        runtime=told.runtime,
        classes=len(LABELS),
        labels=len(LABELS),
        contract_fault=None,
        golden=golden,
        load_ms=told.load_ms,
        invoke_ms=(invoke_ms,) * 3,
    )


def canaries(mind: Mind) -> SpawnCanary:
    async def spawn() -> SimulatedCanary:
        return SimulatedCanary(mind)

    return spawn
