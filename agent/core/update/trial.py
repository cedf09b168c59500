"""Whether a candidate has passed its trial: golden inputs first, then live frames beside the running model.

The faults are looked for in the order in which they explain each other: a model with the wrong tensors
also misses its golden outputs, so the tensors are named.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.telemetry.latency import nearest_rank
from agent.core.update.answers import label_key, same_answer
from agent.wire.documents import Manifest, TrialPolicy
from agent.wire.ipc import Findings, GoldenFinding
from agent.wire.reasons import Reason
from agent.wire.reports import Ranked

SURE_SCORE: Final = 0.5
"""The running model's answer is taken for the truth from this score on."""
EVIDENCE_FRAMES: Final = 5
"""Fewer frames prove neither disagreement nor a constant answer."""


@dataclass(frozen=True, slots=True)
class Passed:
    pass


@dataclass(frozen=True, slots=True)
class Failed:
    reason: Reason
    detail: str


Judgement = Passed | Failed


@dataclass(frozen=True, slots=True)
class ShadowPair:
    """One live frame, answered by the running model and by the candidate; predictions are best first."""

    running: tuple[Ranked, ...]
    running_invoke_ms: float
    candidate: tuple[Ranked, ...]
    candidate_invoke_ms: float
    finite: bool


def judge(findings: Findings, manifest: Manifest, policy: TrialPolicy) -> Judgement:
    """What the canary found on the golden inputs, against what was signed."""
    return _answers(findings, manifest) or _budget(findings, policy) or Passed()


def judge_twin(findings: Findings, manifest: Manifest) -> Judgement:
    """The same of what is to stand in for the candidate: late answers are better than none then, so it is
    held to no budget.
    """
    return _answers(findings, manifest) or Passed()


def judge_shadow(pairs: Sequence[ShadowPair], policy: TrialPolicy, labels: Collection[str]) -> Judgement:
    """What the candidate answered on live frames; no frame, no objection.

    Args:
        pairs: in the order of the frames.
        policy: the plan's limits.
        labels: all labels that the candidate can give; a label it cannot know is not held against it.
    """
    return (
        _shadow_finite(pairs)
        or _slower(pairs, policy)
        or _constant(pairs)
        or _agreement(pairs, policy, labels)
        or Passed()
    )


def _answers(findings: Findings, manifest: Manifest) -> Failed | None:
    return (
        _contract(findings, manifest)
        or _labels(findings, manifest)
        or _finite(findings)
        or _golden(findings, manifest)
    )


def _contract(findings: Findings, manifest: Manifest) -> Failed | None:
    if findings.contract_fault is not None:
        return Failed(Reason.CONTRACT_MISMATCH, findings.contract_fault)
    if findings.classes != manifest.output.classes:
        return Failed(
            Reason.CONTRACT_MISMATCH,
            f"the model has {findings.classes} classes, the manifest declares {manifest.output.classes}",
        )
    return None


def _labels(findings: Findings, manifest: Manifest) -> Failed | None:
    if findings.labels is None and manifest.labels is not None:
        return Failed(Reason.LABELS_MISMATCH, "the manifest names a label file and none was read")
    if findings.labels is None or findings.labels == findings.classes:
        return None
    return Failed(
        Reason.LABELS_MISMATCH, f"the label file has {findings.labels} lines for {findings.classes} classes"
    )


def _finite(findings: Findings) -> Failed | None:
    for number, case in enumerate(findings.golden):
        if not case.finite or not all(map(math.isfinite, case.found)):
            return Failed(Reason.OUTPUT_NOT_FINITE, f"golden case {number} gave NaN or infinity")
    return None


def _golden(findings: Findings, manifest: Manifest) -> Failed | None:
    """A golden set that expects nothing proves nothing, so it fails."""
    if not findings.golden:
        return Failed(Reason.GOLDEN_MISMATCH, "the golden set has no cases: release it with at least one")
    for number, case in enumerate(findings.golden):
        fault = case_fault(case, manifest.golden.tolerance)
        if fault is not None:
            return Failed(Reason.GOLDEN_MISMATCH, f"golden case {number}: {fault}")
    return None


def case_fault(case: GoldenFinding, tolerance: float) -> str | None:
    """In words, how an answer misses what was signed; None where it does not. Where several classes lie
    within the tolerance of each other, any of them may be the best.
    """
    if not case.expected or len(case.found) != len(case.expected):
        return f"{len(case.expected)} classes are expected, {len(case.found)} were compared"
    best, score = case.expected[0]
    margin = score - (case.expected[1][1] if len(case.expected) > 1 else 1.0 - score)
    if margin > tolerance and case.found_top != best:
        return f"class {case.found_top} is best, {best} is expected with a lead of {margin:.4f}"
    for (index, expected), found in zip(case.expected, case.found, strict=True):
        if not abs(found - expected) <= tolerance:  # an expectation that is NaN must fail, not pass
            return f"class {index} scores {found:.4f}, expected {expected:.4f} within {tolerance:.4f}"
    return None


def _budget(findings: Findings, policy: TrialPolicy) -> Failed | None:
    if not findings.invoke_ms:
        return Failed(Reason.TOO_SLOW, "no invocation was timed, so the budget is not known to be kept")
    p95 = nearest_rank(findings.invoke_ms, 0.95)
    if p95 <= policy.invoke_budget_ms:
        return None
    return Failed(
        Reason.TOO_SLOW,
        f"p95 of invoke is {p95:.1f} ms on {findings.delegate}, "
        f"the budget is {policy.invoke_budget_ms:.1f} ms",
    )


def _shadow_finite(pairs: Sequence[ShadowPair]) -> Failed | None:
    bad = sum(not pair.finite for pair in pairs)
    return Failed(Reason.OUTPUT_NOT_FINITE, f"on {bad} of {len(pairs)} live frames") if bad else None


def _slower(pairs: Sequence[ShadowPair], policy: TrialPolicy) -> Failed | None:
    if not pairs:
        return None
    running = nearest_rank([pair.running_invoke_ms for pair in pairs], 0.5)
    candidate = nearest_rank([pair.candidate_invoke_ms for pair in pairs], 0.5)
    if running <= 0.0 or candidate <= running * policy.latency_ratio_max:
        return None
    return Failed(
        Reason.TOO_SLOW,
        f"median invoke is {candidate:.1f} ms where the running model needs {running:.1f} ms: "
        f"{candidate / running:.2f} times, at most {policy.latency_ratio_max:.2f} is allowed",
    )


def _constant(pairs: Sequence[ShadowPair]) -> Failed | None:
    """Only where the running model shows that there were different things to see."""
    seen = {label_key(pair.running[0].label) for pair in pairs if pair.running}
    if len(pairs) < EVIDENCE_FRAMES or len(seen) < 2:
        return None
    first = pairs[0].candidate
    if not all(same_answer(pair.candidate, first) for pair in pairs):
        return None
    answer = f"{first[0].label!r} {first[0].score:.4f}" if first else "nothing"
    return Failed(
        Reason.CONSTANT_OUTPUT,
        f"{answer} on all of {len(pairs)} frames, on which the running model names {len(seen)} labels",
    )


def _agreement(pairs: Sequence[ShadowPair], policy: TrialPolicy, labels: Collection[str]) -> Failed | None:
    telling, agreed = agreement(pairs, labels)
    if telling < EVIDENCE_FRAMES or agreed >= policy.agreement_min * telling:
        return None
    return Failed(
        Reason.DISAGREES,
        f"{agreed} of {telling} frames on which the running model is sure get the same label "
        f"({agreed / telling:.2f}), at least {policy.agreement_min:.2f} is needed",
    )


def agreement(pairs: Sequence[ShadowPair], labels: Collection[str]) -> tuple[int, int]:
    """Frames on which the running model is sure of a label that the candidate can give, and on how many of
    them the candidate gives it.
    """
    known = frozenset(map(label_key, labels))
    telling = [
        pair
        for pair in pairs
        if pair.running and pair.running[0].score >= SURE_SCORE and label_key(pair.running[0].label) in known
    ]
    agreed = sum(
        bool(pair.candidate) and label_key(pair.candidate[0].label) == label_key(pair.running[0].label)
        for pair in telling
    )
    return len(telling), agreed
