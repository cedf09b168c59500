"""Whether an activated release fares well: evidence counted in frames, never in time.

A window gathers what the worker says, `verdict` judges it once it holds enough, and the caller then
begins a new one. The release is measured against the model that served before it on this device.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from agent.core.telemetry.latency import nearest_rank
from agent.core.update.answers import label_key, same_answer
from agent.wire.documents import ProbationPolicy
from agent.wire.ipc import InvokeFailed, Predicted
from agent.wire.reasons import Reason
from agent.wire.reports import Ranked


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen since the last verdict."""

    errors: int = 0
    invoke_ms: tuple[float, ...] = ()
    """One a prediction."""
    labels: frozenset[str] = frozenset()
    """Best labels, as they are compared."""
    first: tuple[Ranked, ...] | None = None
    constant: bool = True
    """Whether every answer so far equals the first."""

    @property
    def frames(self) -> int:
        return len(self.invoke_ms) + self.errors


@dataclass(frozen=True, slots=True)
class Baseline:
    """How the model before it fared over a window."""

    invoke_p95_ms: float
    labels: int


class Sign(Enum):
    HEALTHY = "healthy"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Sick:
    reason: Reason
    detail: str


HEALTHY: Final = Sign.HEALTHY
UNDECIDED: Final = Sign.UNDECIDED
Verdict = Sign | Sick


def observe(window: Window, seen: Predicted | InvokeFailed) -> Window:
    if isinstance(seen, InvokeFailed):
        return replace(window, errors=window.errors + 1)
    best = {label_key(ranked.label) for ranked in seen.predictions[:1]}
    first = seen.predictions if window.first is None else window.first
    return replace(
        window,
        invoke_ms=(*window.invoke_ms, seen.latency_ms.invoke),
        labels=window.labels | best,
        first=first,
        constant=window.constant and same_answer(seen.predictions, first),
    )


def baseline(window: Window) -> Baseline | None:
    """The window as a measure for the next release; None where nothing was predicted in it."""
    if not window.invoke_ms:
        return None
    return Baseline(invoke_p95_ms=nearest_rank(window.invoke_ms, 0.95), labels=len(window.labels))


def verdict(window: Window, before: Baseline | None, policy: ProbationPolicy) -> Verdict:
    """What the window says; without a baseline only errors count."""
    if window.frames < policy.window_frames:
        return UNDECIDED
    return _errors(window, policy) or _slower(window, before, policy) or _constant(window, before) or HEALTHY


def _errors(window: Window, policy: ProbationPolicy) -> Sick | None:
    if window.errors <= policy.error_share_max * window.frames:
        return None
    return Sick(
        Reason.INVOKE_ERRORS,
        f"{window.errors} of {window.frames} frames failed ({window.errors / window.frames:.3f}), "
        f"at most {policy.error_share_max:.3f} is allowed",
    )


def _slower(window: Window, before: Baseline | None, policy: ProbationPolicy) -> Sick | None:
    if before is None or before.invoke_p95_ms <= 0.0 or not window.invoke_ms:
        return None
    p95 = nearest_rank(window.invoke_ms, 0.95)
    if p95 <= before.invoke_p95_ms * policy.latency_ratio_max:
        return None
    return Sick(
        Reason.SLOWED_DOWN,
        f"p95 of invoke is {p95:.1f} ms where the model before needed {before.invoke_p95_ms:.1f} ms: "
        f"{p95 / before.invoke_p95_ms:.2f} times, at most {policy.latency_ratio_max:.2f} is allowed",
    )


def _constant(window: Window, before: Baseline | None) -> Sick | None:
    """Only where the model before found several things to see here, and over more than one prediction."""
    if before is None or before.labels < 2 or not window.constant or len(window.invoke_ms) < 2:
        return None
    answer = f"{window.first[0].label!r} {window.first[0].score:.4f}" if window.first else "nothing"
    return Sick(
        Reason.CONSTANT_OUTPUT,
        f"{answer} on all of {len(window.invoke_ms)} frames, the model before named {before.labels} labels",
    )
