"""What the model said to a frame, and the messages that it becomes."""

from dataclasses import dataclass
from datetime import datetime

from agent.core.camera.frames import Pixels
from agent.core.inference import scores
from agent.loops.child.loading import Loaded
from agent.ports.clock import Clock
from agent.ports.runtime import Tensor
from agent.wire.ipc import InvokeFailed, Predicted, Sampled
from agent.wire.reports import Ranked, StageLatency


@dataclass(frozen=True, slots=True)
class Answer:
    """All but the ranking, which the model's thread leaves to the writer's."""

    loaded: Loaded
    output: Tensor
    sequence: int
    frame: str
    captured_ns: int
    captured_at: datetime
    capture_ms: float
    pre_ms: float
    invoke_ms: float
    frames: int
    dropped: int
    sampled: Pixels | None
    """The frame itself, where it was asked for."""


def tell(answer: Answer, clock: Clock) -> tuple[Predicted | Sampled | InvokeFailed, ...]:
    loaded, manifest = answer.loaded, answer.loaded.spec.manifest
    began_ns = clock.monotonic_ns()
    if not scores.finite(answer.output):
        return (InvokeFailed(manifest=manifest, sequence=answer.sequence, detail="its output is not finite"),)
    ranked = scores.rank(answer.output, loaded.spec.output, loaded.model.output, loaded.labels, loaded.top)
    done_ns = clock.monotonic_ns()
    predicted = Predicted(
        manifest=manifest,
        sequence=answer.sequence,
        frame=answer.frame,
        captured_at=answer.captured_at,
        predictions=ranked,
        latency_ms=StageLatency(
            capture=answer.capture_ms,
            pre=answer.pre_ms,
            invoke=answer.invoke_ms,
            post=(done_ns - began_ns) / 1e6,
            age=(done_ns - answer.captured_ns) / 1e6,
        ),
        frames=answer.frames,
        frames_dropped=answer.dropped,
    )
    return (predicted,) if answer.sampled is None else (predicted, _sampled(answer, answer.sampled, ranked))


def _sampled(answer: Answer, pixels: Pixels, ranked: tuple[Ranked, ...]) -> Sampled:
    return Sampled(
        sequence=answer.sequence,
        height_px=pixels.shape[0],
        width_px=pixels.shape[1],
        rgb=pixels.tobytes(),
        manifest=answer.loaded.spec.manifest,
        predictions=ranked,
        invoke_ms=answer.invoke_ms,
    )
