"""The gate between two waves: a pure function of the rollout and of one picture of the fleet.

Each finding says what it alone would decide, and the gravest says the verdict: ABORT before HOLD before
PROMOTE. So no further bad news can turn an ABORT into anything else, and nothing is promoted that a single
finding holds. What is missing never promotes: it holds, and is named.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from deploy.core.rollouts import approvals, evidence, sizes, tally, waves
from deploy.core.rollouts.picture import Picture
from deploy.core.rollouts.state import Rollout
from deploy.core.rollouts.tally import BAD, COUNTED, Counted, Standing
from deploy.core.rollouts.words import Finding, GatePolicy, Judgement, Verdict
from deploy.core.spans import listed

GRAVITY: Final = (Verdict.ABORT, Verdict.HOLD, Verdict.PROMOTE)
NAMED_MAX: Final = 5
"""Devices that a sentence names."""


def judge(rollout: Rollout, picture: Picture) -> Judgement:
    """What the waves so far say about the next one. Time is `picture.at`."""
    plan = rollout.plan
    if plan is None or plan.candidate is None or not rollout.turns:
        return Judgement(verdict=Verdict.HOLD, findings=(_hold("wave", "no wave of it is out"),))
    counted = tally.count(rollout, picture)
    classes = tally.by_hardware(counted)
    policy = rollout.order.policy.gate
    failures = _failures(counted, classes, policy, complete=not picture.missing)
    told = _evidence(rollout, classes, policy)
    findings = (*failures, *told, *_waiting(rollout, picture, counted, policy))
    verdict = next(each for each in GRAVITY if any(finding.says is each for finding in findings))
    taken_back = _classes(findings, classes) if verdict is Verdict.ABORT else ()
    return Judgement(verdict=verdict, findings=findings, tally=tally.tally(counted), classes=taken_back)


@dataclass(frozen=True, slots=True)
class Failures:
    """Of some devices."""

    bad: int
    counted: int

    def allowed(self, share_max: float, policy: GatePolicy) -> int:
        """Rounded down, so one failure in a wave too small to tell is one too many. The little that is added
        keeps 0.29 of 100 from being 28.
        """
        return max(policy.failed_max, int(share_max * self.counted + 1e-9))


def failures(counted: Sequence[Counted], *, complete: bool = True) -> Failures:
    """Where the picture is incomplete, devices that seem to be offline may only not have been read: they
    count, so that what is missing does not abort either.
    """
    standings = Counter(each.standing for each in counted)
    within = counted if not complete else [each for each in counted if each.standing in COUNTED]
    return Failures(sum(standings[each] for each in BAD), len(within))


def _failures(
    counted: Sequence[Counted],
    classes: Mapping[str, Sequence[Counted]],
    policy: GatePolicy,
    *,
    complete: bool,
) -> tuple[Finding, ...]:
    """Where all that failed beyond the limit is of classes that others stand well beside, they alone go."""
    by_class = {
        hardware: _failed(each, policy, hardware, policy.class_failed_share_max, complete=complete)
        for hardware, each in classes.items()
    }
    over = {hardware for hardware, finding in by_class.items() if finding.says is Verdict.ABORT}
    others = [each for hardware, of in classes.items() if hardware not in over for each in of]
    spared = any(each.standing in COUNTED for each in others)
    overall = _failed(
        others if over and spared else counted, policy, "", policy.failed_share_max, complete=complete
    )
    if len(classes) <= 1 or not spared:
        return (overall,)
    return (overall, *by_class.values())


def _failed(
    counted: Sequence[Counted], policy: GatePolicy, hardware: str, share_max: float, *, complete: bool
) -> Finding:
    found = failures(counted, complete=complete)
    allowed = found.allowed(share_max, policy)
    standings = Counter(each.standing for each in counted)
    which = f" {hardware}" if hardware else ""
    words = f"{found.bad} of {found.counted}{which} devices failed"
    if standings[Standing.SILENT]:
        words += f", {standings[Standing.SILENT]} of them silently"
    named = _named([each for each in counted if each.standing in BAD])
    return Finding(
        name="failed",
        says=Verdict.ABORT if found.bad > allowed else Verdict.PROMOTE,
        words=f"{words}{f' ({named})' if named else ''}, at most {allowed} may ({share_max:.1%})",
        value=float(found.bad),
        limit=float(allowed),
        hardware=hardware,
    )


def _evidence(
    rollout: Rollout, classes: Mapping[str, Sequence[Counted]], policy: GatePolicy
) -> tuple[Finding, ...]:
    release = rollout.order.release.manifest
    return tuple(
        finding
        for hardware, counted in classes.items()
        for finding in evidence.findings(evidence.pairs(counted, release), policy, hardware)
    )


def _classes(findings: Sequence[Finding], classes: Mapping[str, Sequence[Counted]]) -> tuple[str, ...]:
    """The classes that are to be taken back; none: all."""
    against = [finding.hardware for finding in findings if finding.says is Verdict.ABORT]
    others = [
        each
        for hardware, counted in classes.items()
        if hardware not in against
        for each in counted
        if each.standing in COUNTED
    ]
    return () if "" in against or not others else tuple(sorted(set(against)))


def _waiting(
    rollout: Rollout, picture: Picture, counted: Sequence[Counted], policy: GatePolicy
) -> tuple[Finding, ...]:
    """All that the next wave waits for."""
    found = (
        _paused(rollout),
        _unsigned(rollout),
        _incomplete(picture),
        _nobody(counted),
        _pending(counted, picture),
        _judged(counted, ordered(rollout, picture) or len(counted), policy),
        _away(rollout, picture, counted, policy),
        _vanished(counted, policy),
        _degraded(counted, policy),
        _soak(rollout, picture, policy),
        _strangers(rollout, picture),
    )
    return tuple(finding for finding in found if finding is not None)


def _paused(rollout: Rollout) -> Finding | None:
    return _hold("paused", "it is paused") if rollout.paused else None


def _unsigned(rollout: Rollout) -> Finding | None:
    awaited = approvals.awaited(rollout)
    return _hold("unsigned", awaited) if awaited else None


def _incomplete(picture: Picture) -> Finding | None:
    if not picture.missing:
        return None
    return _hold("picture", f"the picture of the fleet is incomplete: {'; '.join(picture.missing)}")


def _nobody(counted: Sequence[Counted]) -> Finding | None:
    return None if counted else _hold("wave", "no device that is known is in the waves so far")


def _pending(counted: Sequence[Counted], picture: Picture) -> Finding | None:
    waiting = [each for each in counted if each.standing is Standing.PENDING]
    if not waiting:
        return None
    until = max(each.until for each in waiting)
    left_s = max(int((until - picture.at).total_seconds()), 0)
    return _hold(
        "pending",
        f"{len(waiting)} of {len(counted)} devices still on their way ({_named(waiting)}): "
        f"the last of them has until {until:%H:%M:%S} UTC, {timedelta(seconds=left_s)} from now",
        value=float(len(waiting)),
    )


def ordered(rollout: Rollout, picture: Picture) -> int:
    """How many devices the waves so far are to have, of those that are known; 0: none is."""
    known = sum(map(len, waves.counted(rollout.order, picture, rollout.withdrawn).values()))
    return max(sizes.count(sizes.parse(text), known) for text in rollout.order.waves[: rollout.wave + 1])


def _judged(counted: Sequence[Counted], wanted: int, policy: GatePolicy) -> Finding | None:
    """Devices that are on their way are waited for; here it is about those that nobody can judge. A cut that
    lets in more than were ordered, because some of those are away, is judged by as many as were ordered.
    """
    if not counted:
        return None
    told = sum(each.standing in COUNTED for each in counted)
    share = min(told / wanted, 1.0)
    away = Counter(each.standing for each in counted if each.standing not in COUNTED)
    why = ", ".join(f"{n} {standing.value}" for standing, n in sorted(away.items()))
    holds = sorted({each.hold.value for each in counted if each.hold is not None})
    by = f", held by {', '.join(holds)}" if holds else ""
    return Finding(
        name="judged",
        says=Verdict.HOLD if share < policy.judged_share_min else Verdict.PROMOTE,
        words=f"{told} of {wanted} devices ordered can be judged ({why or 'nobody is away'}{by}), "
        f"at least {policy.judged_share_min:.0%} must be",
        value=share,
        limit=policy.judged_share_min,
    )


def _away(
    rollout: Rollout, picture: Picture, counted: Sequence[Counted], policy: GatePolicy
) -> Finding | None:
    """They are waited for where too many would have failed if none came back."""
    away = [each for each in counted if each.standing is Standing.AWAY]
    if not away:
        return None
    shares = [(counted, policy.failed_share_max)]
    shares += [(each, policy.class_failed_share_max) for each in tally.by_hardware(counted).values()]
    waits = any(_would_fail(of, share_max, policy) for of, share_max in shares)
    others = tally.elsewhere(rollout, picture, counted)
    return Finding(
        name="away",
        says=Verdict.HOLD if waits else Verdict.PROMOTE,
        words=f"{len(away)} of {len(counted)} devices went away after they had begun to run the release "
        f"({_named(away)}), and so did {others.gone} of {others.of} that do not run it: who is away for "
        f"{timedelta(seconds=policy.deadline_s)} has failed, unless the others are too",
        value=float(len(away)),
    )


def _would_fail(counted: Sequence[Counted], share_max: float, policy: GatePolicy) -> bool:
    found = failures(counted)
    away = sum(each.standing is Standing.AWAY for each in counted)
    return away > 0 and found.bad + away > found.allowed(share_max, policy)


def _vanished(counted: Sequence[Counted], policy: GatePolicy) -> Finding | None:
    gone = [each for each in counted if each.standing is Standing.VANISHED]
    if len(gone) <= max(1.0, policy.vanished_share_max * len(counted)):
        return None
    return _hold(
        "vanished",
        f"{len(gone)} of {len(counted)} devices went away before they could show anything ({_named(gone)}), "
        f"{policy.vanished_share_max:.0%} may: nobody knows why",
        value=len(gone) / len(counted),
        limit=policy.vanished_share_max,
    )


def _degraded(counted: Sequence[Counted], policy: GatePolicy) -> Finding | None:
    well = [each for each in counted if each.standing in {Standing.HEALTHY, Standing.DEGRADED}]
    less = [each for each in well if each.standing is Standing.DEGRADED]
    if not less:
        return None
    share = len(less) / len(well)
    return Finding(
        name="degraded",
        says=Verdict.HOLD if share > policy.degraded_share_max else Verdict.PROMOTE,
        words=f"{len(less)} of {len(well)} devices serve on less than the release promises "
        f"({_named(less)}), {policy.degraded_share_max:.0%} may",
        value=share,
        limit=policy.degraded_share_max,
    )


def _soak(rollout: Rollout, picture: Picture, policy: GatePolicy) -> Finding | None:
    lasted_s = (picture.at - rollout.turns[-1].at).total_seconds()
    if lasted_s >= policy.soak_s:
        return None
    over = (
        f"of which {lasted_s:.0f} s are over"
        if lasted_s >= 0.0
        else f"and began {-lasted_s:.0f} s later than this clock shows: set the clock"
    )
    return _hold(
        "soak",
        f"the wave is looked at for {policy.soak_s:g} s, {over}",
        value=lasted_s,
        limit=policy.soak_s,
    )


def _strangers(rollout: Rollout, picture: Picture) -> Finding | None:
    count = tally.strangers(rollout, picture)
    if not count:
        return None
    words = f"{count} devices that nobody has enrolled or counted are inside the cut, and decide nothing"
    return Finding(name="strangers", says=Verdict.PROMOTE, words=words, value=float(count))


def _hold(name: str, words: str, *, value: float | None = None, limit: float | None = None) -> Finding:
    return Finding(name=name, says=Verdict.HOLD, words=words, value=value, limit=limit)


def _named(counted: Sequence[Counted]) -> str:
    return listed(sorted(each.seen.id for each in counted), NAMED_MAX)
