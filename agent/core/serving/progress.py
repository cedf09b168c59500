"""Whether the device makes progress: what feeds the watchdog, what makes the service ready, what it says.

Every pipeline either predicts or has declared why it does not. The watchdog is the last line of defence:
a worker that hangs or dies is its keeper's business, which starts another one; so a pipeline counts as
stuck only when it has been silent for longer than the keeper may take.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.wire.reports import CameraState, Phase, Report

PATIENCE_S: Final = 90.0
"""More than a keeper lets a worker load (60 s), or rests between two starts (30 s)."""
FAILURES_MAX: Final = 2
"""Ends of the worker without a prediction between them, from which on the start is over all the same."""

_AWAY: Final = frozenset({CameraState.LOST, CameraState.BUSY, CameraState.FROZEN})
"""No frames come. An opening camera is not yet away, and a black or slow one still gives pictures."""


@dataclass(frozen=True, slots=True)
class Strand:
    """What is known of one pipeline. Instants are seconds of one monotonic clock."""

    name: str
    report: Report | None
    """What it told last; None until it has read what it is to run."""
    stirred_s: float
    """When something happened in it last: a prediction, a start, an end, a change of what it runs."""
    predicted: bool = False
    """Since this process began."""
    failures: int = 0
    """Ends of its worker since the last prediction."""
    slack_s: float = 0.0
    """How much longer it may be silent, because it is to see few frames."""
    p95_ms: float | None = None
    """From capture to prediction, of late."""


@dataclass(frozen=True, slots=True)
class Facts:
    strands: tuple[Strand, ...]
    link_alive: bool
    """The thread of the broker's link runs. Whether there is a broker does not matter."""


@dataclass(frozen=True, slots=True)
class Feed:
    pass


@dataclass(frozen=True, slots=True)
class Starve:
    reason: str


def judge(facts: Facts, now_s: float) -> Feed | Starve:
    """Whether the watchdog is to be fed now; that the caller runs at all is the event loop's progress."""
    if not facts.link_alive:
        return Starve("the broker's link has lost its thread")
    for strand in facts.strands:
        silent_s = now_s - strand.stirred_s
        if silent_s > PATIENCE_S + strand.slack_s and not declared(strand):
            return Starve(f"pipeline {strand.name} has neither predicted nor said why for {silent_s:.0f} s")
    return Feed()


def ready(facts: Facts) -> bool:
    """Whether every pipeline has predicted once, has declared why it cannot, or fails again and again: the
    service manager could not do better than the keeper does.
    """
    return all(
        strand.predicted or declared(strand) or strand.failures >= FAILURES_MAX for strand in facts.strands
    )


def declared(strand: Strand) -> str:
    """In words, why no prediction is to be expected of this pipeline now; empty if one is."""
    report = strand.report
    if report is None:
        return ""
    if report.paused:
        return "paused"
    if report.active is None:
        return _without_model(report)
    if report.camera is not None and report.camera.state in _AWAY:
        return f"camera {report.camera.state}"
    return ""


def status(facts: Facts) -> str:
    """One line for people: of each pipeline what it runs on what, how fast, and what is wrong."""
    return "; ".join(_said(strand, alone=len(facts.strands) == 1) for strand in facts.strands)


def _said(strand: Strand, *, alone: bool) -> str:
    words = [*_running(strand), *_troubles(strand)]
    return ("" if alone else f"{strand.name}: ") + ", ".join(words or ["starting"])


def _running(strand: Strand) -> Sequence[str]:
    report = strand.report
    if report is None or report.active is None:
        return ()
    active = report.active
    words = [f"{active.name} {active.version}" + (f" on {active.delegate}" if active.delegate else "")]
    if strand.p95_ms is not None:
        words.append(f"p95 {strand.p95_ms:.0f} ms")
    return [*words, report.phase] if report.phase is not Phase.IDLE else words


def _troubles(strand: Strand) -> Sequence[str]:
    report = strand.report
    words = (
        declared(strand),
        "worker keeps ending" if strand.failures >= FAILURES_MAX else "",
        "" if report is None else report.degraded,
    )
    return [word for word in words if word]


def _without_model(report: Report) -> str:
    reason = f" ({report.reason})" if report.reason is not None else ""
    return f"no model yet, {report.phase}{reason}"
