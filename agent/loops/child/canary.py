"""The canary: it meets a candidate before any other process does, and tells what it saw.

It judges nothing: a model that kills this process has told enough, and the supervisor weighs the rest.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from agent.core.camera.frames import Pixels
from agent.core.inference import contract, golden, scores
from agent.core.inference.tensors import Preparer
from agent.loops.child.loading import Opened, OpenRuntime, Refusal, open_model
from agent.loops.child.measuring import measure
from agent.ports.clock import Clock
from agent.ports.pipe import Pipe
from agent.ports.runtime import Tensor
from agent.wire import codec
from agent.wire.documents import GoldenCase, GoldenSet
from agent.wire.errors import Malformed, ModelUnloadable, WireError
from agent.wire.ipc import (
    Findings,
    FromCanary,
    GoldenFinding,
    ModelSpec,
    Prove,
    ProveFailed,
    Shadow,
    Shadowed,
    Stop,
    ToCanary,
    Tune,
    Tuned,
)
from agent.wire.reasons import Reason

TOP = 5


REPEAT_MS: Final = 2_000.0


@dataclass(frozen=True, slots=True)
class _Candidate:
    spec: ModelSpec
    opened: Opened
    preparer: Preparer


class Canary:
    def __init__(self, pipe: Pipe[FromCanary, ToCanary], clock: Clock, open_runtime: OpenRuntime) -> None:
        self._pipe, self._clock, self._open_runtime = pipe, clock, open_runtime
        self._candidate: _Candidate | None = None

    def run(self) -> None:
        """Answer until the supervisor has no more questions."""
        while True:
            match self._pipe.receive():
                case Prove() as prove:
                    self._pipe.send(self._prove(prove))
                case Shadow() as shadow:
                    self._pipe.send(self._shadow(shadow))
                case Tune() as tune:
                    self._pipe.send(self._tune(tune))
                case Stop() | None:
                    return

    def _prove(self, prove: Prove) -> Findings | ProveFailed:
        spec = prove.model
        cases = _cases(prove.golden_path)
        if isinstance(cases, Refusal):
            return _failed(spec, cases)
        opened = open_model(spec, self._open_runtime, self._clock)
        if isinstance(opened, Refusal):
            return _failed(spec, opened)
        fault = contract.compare(spec.input, spec.output, opened.model.input, opened.model.output)
        if fault is not None:
            return _findings(spec, opened, fault, (), ())
        self._candidate = _Candidate(spec, opened, Preparer(spec.input, opened.model.input))
        try:
            return self._golden(self._candidate, cases, prove.repeats)
        except ModelUnloadable as error:
            return _failed(spec, Refusal(Reason.LOAD_FAILED, f"it loads, but does not run: {error}"))

    def _golden(
        self, candidate: _Candidate, cases: tuple[tuple[GoldenCase, Pixels], ...], repeats: int
    ) -> Findings:
        """Every case once for its scores, then `repeats` times for the latency: the first run is slower.

        A slow model has shown how slow it is after a few: from `REPEAT_MS` on each case is repeated once.
        """
        findings: list[GoldenFinding] = []
        invoke_ms: list[float] = []
        for case, pixels in cases:
            tensor = candidate.preparer.prepare(pixels)
            output, _ = self._invoke(candidate, tensor)
            findings.append(
                golden.compare(case, output, candidate.spec.output, candidate.opened.model.output)
            )
            count = repeats if sum(invoke_ms) < REPEAT_MS else 1
            invoke_ms += [self._invoke(candidate, tensor)[1] for _ in range(count)]
        return _findings(candidate.spec, candidate.opened, None, tuple(findings), tuple(invoke_ms))

    def _shadow(self, shadow: Shadow) -> Shadowed | ProveFailed:
        candidate = self._candidate
        assert candidate is not None, "a canary is asked to prove a candidate before it shadows"
        pixels = np.frombuffer(shadow.rgb, np.uint8).reshape(shadow.height_px, shadow.width_px, 3)
        try:
            output, invoke_ms = self._invoke(candidate, candidate.preparer.prepare(pixels))
        except ModelUnloadable as error:
            return _failed(candidate.spec, Refusal(Reason.INVOKE_ERRORS, str(error)))
        opened = candidate.opened
        return Shadowed(
            sequence=shadow.sequence,
            predictions=scores.rank(
                output, candidate.spec.output, opened.model.output, opened.labels or (), TOP
            ),
            invoke_ms=invoke_ms,
            finite=scores.finite(output),
        )

    def _tune(self, tune: Tune) -> Tuned:
        candidate = self._candidate
        # An Edge TPU that this process has opened must not be opened twice.
        loaded = {} if candidate is None else {candidate.spec: candidate.opened.model}
        found = measure(tune.models, loaded, self._open_runtime, self._clock, tune.budget_s)
        return Tuned(invoke_ms=found)

    def _invoke(self, candidate: _Candidate, tensor: Tensor) -> tuple[Tensor, float]:
        began_ns = self._clock.monotonic_ns()
        output = candidate.opened.model.invoke(tensor)
        return output, (self._clock.monotonic_ns() - began_ns) / 1e6


def _failed(spec: ModelSpec, refusal: Refusal) -> ProveFailed:
    return ProveFailed(manifest=spec.manifest, reason=refusal.reason, detail=refusal.detail)


def _findings(
    spec: ModelSpec,
    opened: Opened,
    fault: str | None,
    golden: tuple[GoldenFinding, ...],
    invoke_ms: tuple[float, ...],
) -> Findings:
    model = opened.model
    return Findings(
        manifest=spec.manifest,
        delegate=model.delegate,
        delegate_reason=model.delegate_reason,
        runtime=model.runtime,
        classes=model.output.shape[-1],
        labels=None if opened.labels is None else len(opened.labels),
        contract_fault=fault,
        golden=golden,
        load_ms=opened.load_ms,
        invoke_ms=invoke_ms,
    )


def _cases(path: str) -> tuple[tuple[GoldenCase, Pixels], ...] | Refusal:
    try:
        golden = codec.decode(Path(path).read_bytes(), GoldenSet)
        return tuple((case, decode_png(case.png)) for case in golden.cases)
    except OSError as error:
        return Refusal(Reason.UNREADABLE, f"golden set {path}: {error.strerror}")
    except WireError as error:
        return Refusal(Reason.UNREADABLE, f"golden set {path}: {error}")


def decode_png(content: bytes) -> Pixels:
    """
    Raises:
        Malformed: it is no picture, or one of absurd size.
    """
    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Malformed(f"golden picture: {error}") from error
