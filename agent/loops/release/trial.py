"""The trial of a candidate: golden inputs in a canary, then live frames beside the running model."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from agent.core.inference import labels as label_files
from agent.core.update import trial as judge
from agent.core.update.lifecycle import TrialFailed, TrialPassed
from agent.ports.children import Canary, SpawnCanary, Worker
from agent.wire.documents import Manifest, TrialPolicy
from agent.wire.errors import StoreFailed
from agent.wire.ipc import Findings, ModelSpec, Prove, ProveFailed, Shadow
from agent.wire.reasons import Reason

log = logging.getLogger(__name__)

SAMPLE_TIMEOUT_S = 5.0

Note = Callable[[str, dict[str, str | int | float]], None]
Measure = Callable[[Canary], Awaitable[object]]


async def prove(  # noqa: PLR0913 - what a trial is made of
    *,
    spawn: SpawnCanary,
    worker: Worker | None,
    spec: ModelSpec,
    manifest: Manifest,
    golden_path: str,
    policy: TrialPolicy,
    healthy_windows: int,
    note: Note,
    measure: Measure | None = None,
) -> TrialPassed | TrialFailed:
    """Whether the candidate may be activated. Without a running model there is nothing to shadow.

    Args:
        spawn: starts the canary.
        worker: serves the running model; None where nothing is served.
        spec: the candidate.
        manifest: of it, as signed.
        golden_path: its golden set.
        policy: the plan's limits.
        healthy_windows: how long its probation is to be.
        note: where steps are told.
        measure: asks the canary of a candidate that has passed how fast it is; what that comes to is no
            part of the judgement.

    Raises:
        PortError: it could not be found out: no process to be had, or a file cannot be read.
    """
    canary = await spawn()
    try:
        judged = await _judge(canary, worker, spec, manifest, golden_path, policy, healthy_windows, note)
        if measure is not None and isinstance(judged, TrialPassed):
            await measure(canary)
        return judged
    finally:
        await canary.close()


async def prove_twin(
    spawn: SpawnCanary,
    spec: ModelSpec,
    manifest: Manifest,
    golden_path: str,
    policy: TrialPolicy,
    note: Note,
) -> TrialFailed | None:
    """Whether the variant for the CPU could stand in for a candidate on an Edge TPU: in a canary of its own,
    on golden inputs; None if so. A failover is no time to find out.

    Raises:
        PortError: it could not be found out.
    """
    canary = await spawn()
    try:
        found = await canary.prove(Prove(model=spec, golden_path=golden_path, repeats=0), policy.timeout_s)
    finally:
        await canary.close()
    if isinstance(found, ProveFailed):
        return _cannot_stand_in(spec, found.reason, found.detail)
    match judge.judge_twin(found, manifest):
        case judge.Failed(reason, detail):
            return _cannot_stand_in(spec, reason, detail)
        case judge.Passed():
            note("trial.twin-proven", {"golden": len(found.golden), "delegate": found.delegate})
            return None


def _cannot_stand_in(spec: ModelSpec, reason: Reason, detail: str) -> TrialFailed:
    words = f"the variant for the CPU, which is to stand in for the Edge TPU: {detail}"
    return TrialFailed(spec.manifest, reason, words, whole=True)


async def _judge(  # noqa: PLR0913, PLR0917 - what a trial is made of
    canary: Canary,
    worker: Worker | None,
    spec: ModelSpec,
    manifest: Manifest,
    golden_path: str,
    policy: TrialPolicy,
    healthy_windows: int,
    note: Note,
) -> TrialPassed | TrialFailed:
    found = await canary.prove(Prove(model=spec, golden_path=golden_path), policy.timeout_s)
    if isinstance(found, ProveFailed):
        return TrialFailed(spec.manifest, found.reason, found.detail)
    match judge.judge(found, manifest, policy):
        case judge.Failed(reason, detail):
            return TrialFailed(spec.manifest, reason, detail)
        case judge.Passed():
            note("trial.proven", _proven(found))
    if worker is None or policy.shadow_frames == 0:
        return TrialPassed(spec.manifest, healthy_windows)
    return await _shadow(canary, worker, spec, policy, healthy_windows, note)


def _proven(found: Findings) -> dict[str, str | int | float]:
    ordered = sorted(found.invoke_ms)
    return {
        "golden": len(found.golden),
        "load_ms": round(found.load_ms, 1),
        "invoke_p50_ms": round(ordered[len(ordered) // 2], 2),
        "delegate": found.delegate,
    }


async def _shadow(
    canary: Canary,
    worker: Worker,
    spec: ModelSpec,
    policy: TrialPolicy,
    healthy_windows: int,
    note: Note,
) -> TrialPassed | TrialFailed:
    """Frames are waited for as long as it takes: a dead camera is not the candidate's fault."""
    pairs: list[judge.ShadowPair] = []
    while len(pairs) < policy.shadow_frames:
        sampled = await worker.sample(SAMPLE_TIMEOUT_S)
        if sampled is None:
            continue
        frame = Shadow(
            sequence=sampled.sequence,
            height_px=sampled.height_px,
            width_px=sampled.width_px,
            rgb=sampled.rgb,
        )
        answer = await canary.shadow(frame, policy.timeout_s)
        if isinstance(answer, ProveFailed):
            return TrialFailed(spec.manifest, answer.reason, answer.detail)
        pairs.append(
            judge.ShadowPair(
                running=sampled.predictions,
                running_invoke_ms=sampled.invoke_ms,
                candidate=answer.predictions,
                candidate_invoke_ms=answer.invoke_ms,
                finite=answer.finite,
            )
        )
    labels = _known_labels(spec)
    match judge.judge_shadow(pairs, policy, labels):
        case judge.Failed(reason, detail):
            return TrialFailed(spec.manifest, reason, detail)
        case judge.Passed():
            note("trial.shadowed", {"frames": len(pairs)})
            telling, agreed = judge.agreement(pairs, labels)
            return TrialPassed(spec.manifest, healthy_windows, telling, agreed)


def _known_labels(spec: ModelSpec) -> frozenset[str]:
    if spec.labels_path is None:
        return frozenset()
    try:
        content = Path(spec.labels_path).read_bytes()
    except OSError as error:
        raise StoreFailed(f"could not read the labels {spec.labels_path}: {error.strerror}") from error
    return frozenset(label_files.parse(content))
