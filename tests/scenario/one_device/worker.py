"""The scripted worker of a device: what it answers to models and frames."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from agent.wire.ipc import (
    Findings,
    GoldenFinding,
    ModelSpec,
    Predicted,
    Sampled,
    ServeFailed,
    Serving,
)
from agent.wire.reasons import Reason
from agent.wire.reports import Ranked, StageLatency
from agent.wire.topics import Digest
from tests.fakes.children import ScriptedWorker
from tests.fakes.clock import FakeClock


def serving(model: ModelSpec) -> Serving:
    return Serving(
        manifest=model.manifest,
        digest=model.digest,
        delegate="xnnpack",
        delegate_reason="it was told so",
        runtime="scripted 1.0",
        load_ms=12.0,
        gap_ms=0.5,
    )


def refusing(*digests: Digest) -> Callable[[ModelSpec], Serving | ServeFailed]:
    """A worker that cannot serve these variants."""

    def answer(model: ModelSpec) -> Serving | ServeFailed:
        if model.digest in digests:
            return ServeFailed(
                manifest=model.manifest, digest=model.digest, reason=Reason.LOAD_FAILED, detail="no"
            )
        return serving(model)

    return answer


def intact(model: ModelSpec) -> Serving:
    """Demands that the file that is served is the one that was signed."""
    content = Path(model.model_path).read_bytes()
    assert hashlib.sha256(content).hexdigest() == model.digest
    return serving(model)


FOUND = Findings(
    manifest=Digest("0" * 64),
    delegate="xnnpack",
    delegate_reason="",
    runtime="scripted 1.0",
    classes=2,
    labels=2,
    contract_fault=None,
    golden=(GoldenFinding(expected=((0, 0.9),), found_top=0, found=(0.9,), finite=True),),
    load_ms=10.0,
    invoke_ms=(5.0, 5.0),
)
CAT = (Ranked(index=0, label="cat", score=0.9),)
DOG = (Ranked(index=1, label="dog", score=0.9),)


class Worker(ScriptedWorker):
    """Its camera shows a cat and a dog in turn."""

    def __init__(self, answer: Callable[[ModelSpec], Serving | ServeFailed]) -> None:
        super().__init__(answer)
        self.sequence = 0

    async def sample(self, timeout_s: float) -> Sampled | None:
        if not self.served:
            return await super().sample(timeout_s)
        await asyncio.sleep(0)
        return Sampled(
            sequence=1,
            height_px=1,
            width_px=1,
            rgb=b"rgb",
            manifest=self.served[-1].manifest,
            predictions=CAT,
            invoke_ms=5.0,
        )

    def frame(
        self,
        clock: FakeClock,
        *,
        invoke_ms: float = 5.0,
        answer: tuple[Ranked, ...] | None = None,
        manifest: Digest | None = None,
    ) -> None:
        """The camera gives a frame, and what is served answers it."""
        self.sequence += 1
        if not self.served:
            return
        latency = StageLatency(capture=1.0, pre=1.0, invoke=invoke_ms, post=1.0, age=invoke_ms + 3.0)
        self.see(
            Predicted(
                manifest=manifest or self.served[-1].manifest,
                sequence=self.sequence,
                frame="",
                captured_at=clock.now(),
                predictions=answer or (CAT, DOG)[self.sequence % 2],
                latency_ms=latency,
                frames=self.sequence,
                frames_dropped=0,
            )
        )
