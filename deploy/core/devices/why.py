"""Why a device runs what it runs: what the signed plan means for it, held against what it says of itself."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct

from agent.core.update import admission, cohort
from agent.core.update.admission import Admitted, HeldBy
from agent.wire.documents import Plan, ReleaseRef
from agent.wire.reasons import IN_WORDS, Reason
from agent.wire.reports import CameraState, Outcome, Phase, Report
from deploy.core.devices.causes import BLIND, ON_ITS_WAY, Cause, Code, remedy
from deploy.core.rollouts import tally, words
from deploy.core.rollouts.picture import Seen
from deploy.core.rollouts.state import Member, Rollout
from deploy.core.rollouts.tally import Standing
from deploy.core.spans import span


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known of one device."""

    at: datetime
    seen: Seen | None = None
    member: Member | None = None
    plan: Plan | None = None
    """The newest of its stream: what was decided and signed here."""
    rollout: Rollout | None = None
    """The one that goes on in its stream, or the last that did."""
    coming: tuple[Plan, ...] = ()
    """Of the rollout's waves that are not out yet, as they would be cut now."""
    failed_at: datetime | None = None
    """When a gate first counted it as failed in this rollout."""
    refused: tuple[str, ...] = ()
    """What came under its name and was not believed, in words."""


class Explained(Struct, frozen=True, kw_only=True):
    device: str
    code: Code
    why: str
    remedy: str = ""
    besides: tuple[str, ...] = ()
    """What else is not as it should be, or where the device and the plan disagree."""
    serves: str = ""
    online: bool = False
    standing: Standing | None = None
    """How the gate counts it; None: no rollout lets it in now."""
    phase: Phase | None = None
    plan_serial: int | None = None
    """Of the plan that counts."""
    seen_serial: int | None = None
    """Of the plan that the device has seen."""
    reported_s: float | None = None
    """Since its last report, by its own clock."""


@dataclass(frozen=True, slots=True)
class _Finding:
    code: Code
    why: str


def explain(device: str, case: Case) -> Explained:
    """The one code for what keeps the device from the release that is on its way to the fleet, or for how far
    it has come with it.

    What the plan says counts before what the device says, where the device has not seen that plan; a device
    that is offline is held by that only if nothing else holds it.
    """
    found, standing = _absent(case) or _present(case), _standing(case)
    seen = case.seen
    report = seen.report if seen is not None else None
    return Explained(
        device=device,
        code=found.code,
        why=found.why,
        remedy=remedy(found.code),
        besides=tuple(_besides(found, case, standing)),
        serves="" if report is None or report.active is None else _running(report),
        online=seen is not None and seen.online,
        standing=standing,
        phase=None if report is None else report.phase,
        plan_serial=None if case.plan is None else case.plan.serial,
        seen_serial=None if report is None or report.plan_serial < 0 else report.plan_serial,
        reported_s=None if report is None else max(0.0, (case.at - report.at).total_seconds()),
    )


def nearest(wanted: str, ids: Iterable[str]) -> tuple[str, ...]:
    """The ids that begin with what was typed, or look most like it, best first."""
    every = sorted(ids)
    begun = [each for each in every if wanted and each.startswith(wanted)]
    return tuple(dict.fromkeys((*begun, *difflib.get_close_matches(wanted, every, n=3))))[:3]


def _absent(case: Case) -> _Finding | None:
    """What holds a device of which nothing is known."""
    if case.member is not None and case.member.expelled:
        return _Finding(Cause.EXPELLED, "it was expelled from the fleet")
    if case.seen is not None and case.seen.report is not None:
        return None
    if case.refused:
        return _Finding(Cause.NOT_BELIEVED, case.refused[0])
    if case.seen is not None and case.seen.online:
        return _Finding(Cause.NEVER_SEEN, "it is online and has not reported yet")
    return _Finding(Cause.NEVER_SEEN, "it was enrolled, and has never been heard on this broker")


def _present(case: Case) -> _Finding:
    seen = case.seen
    assert seen is not None
    assert seen.report is not None
    found = _by_plan(case, seen, seen.report)
    if seen.online or found.code not in ON_ITS_WAY:
        return found
    return _Finding(Cause.OFFLINE, f"{_gone(seen, seen.report, case.at)}; then: {found.why}")


def _gone(seen: Seen, report: Report, at: datetime) -> str:
    if seen.gone_at is not None:
        return f"it went offline {span((at - seen.gone_at).total_seconds())} ago"
    return f"it is offline, and reported {span((at - report.at).total_seconds())} ago for the last time"


def _by_plan(case: Case, seen: Seen, report: Report) -> _Finding:
    plan = case.plan
    if plan is None:
        return _Finding(Reason.NO_PLAN, IN_WORDS[Reason.NO_PLAN])
    if report.plan_serial >= plan.serial or report.reason in BLIND:
        return _by_report(case, plan, seen, report)
    found = _meant(case, plan, seen, report)
    if found.code is Cause.PENDING:
        if (begun := _progress(plan, report)) is not None:
            return begun
        had = "none" if report.plan_serial < 0 else f"plan {report.plan_serial}"
        return _Finding(
            Cause.PLAN_NOT_SEEN, f"plan {plan.serial} is out, and the device has seen {had} so far"
        )
    return found


def _by_report(case: Case, plan: Plan, seen: Seen, report: Report) -> _Finding:
    """What a device says that has seen the plan."""
    if (begun := _progress(plan, report)) is not None:
        return begun
    if report.reason is None or report.reason is Reason.OUTSIDE_CUT:
        return _meant(case, plan, seen, report)
    if report.reason is Reason.NOT_MATCHED:
        return _meant(case, plan, seen, report, said=report)
    return _Finding(report.reason, _held(report.reason, case, report))


def _progress(plan: Plan, report: Report) -> _Finding | None:
    match report.phase:
        case Phase.FETCHING:
            return _Finding(Cause.DOWNLOADING, _downloading(report))
        case Phase.TRIAL:
            tried = report.candidate
            named = f"{tried.name}@{tried.version}" if tried else "the release"
            return _Finding(Cause.IN_TRIAL, f"{named} is being tried beside what serves")
        case Phase.PROBATION:
            return _Finding(Cause.ON_PROBATION, _on_probation(plan, report))
        case Phase.IDLE | Phase.HELD:
            return None


def _held(reason: Reason, case: Case, report: Report) -> str:
    said = _with(IN_WORDS[reason], report.detail)
    if reason is not Reason.KNOWN_BAD:
        return said
    failures = {
        code
        for digest, code in report.known_bad.items()
        if case.rollout and digest in case.rollout.order.files
    }
    if report.last is not None and report.last.reason is not None and not failures:
        failures = {report.last.reason}
    return "; ".join((said, *(f"{code}: {IN_WORDS[code]}" for code in sorted(failures))))


def _downloading(report: Report) -> str:
    coming = report.candidate
    if coming is None or not coming.bytes_total:
        return "the release is being fetched"
    percent = coming.bytes_done * 100 // coming.bytes_total
    return f"{coming.name}@{coming.version}: {coming.bytes_done} of {coming.bytes_total} bytes ({percent} %)"


def _on_probation(plan: Plan, report: Report) -> str:
    named = _running(report) if report.active else "the release"
    wanted = plan.probation.healthy_windows * plan.probation.window_frames
    if report.serving is None or (report.active and report.serving.manifest != report.active.manifest):
        return f"{named} serves, and has {plan.probation.healthy_windows} healthy windows to show"
    return f"{named} serves on probation: {report.serving.frames} of at least {wanted} frames"


def _meant(case: Case, plan: Plan, seen: Seen, report: Report, *, said: Report | None = None) -> _Finding:
    """What the plan alone means for the device, and how far it is with that."""
    facts = admission.Device(seen.id, seen.hardware, report.capabilities.agent, frozenset(seen.tags))
    match admission.admit(plan, -1, facts, clock_trusted=True):
        case HeldBy(Reason.OUTSIDE_CUT):
            return _Finding(Reason.OUTSIDE_CUT, f"{_outside(case, plan, seen)}; there is no stable release")
        case HeldBy(reason, detail):
            return _Finding(reason, _with(IN_WORDS[reason], detail))
        case Admitted(ref):
            if said is not None:
                return _Finding(Reason.NOT_MATCHED, _with(IN_WORDS[Reason.NOT_MATCHED], said.detail))
            return _admitted(case, plan, seen, report, ref)


def _admitted(case: Case, plan: Plan, seen: Seen, report: Report, ref: ReleaseRef) -> _Finding:
    failed = report.last
    wanted = plan.candidate if plan.candidate is not None and _inside(plan, seen) else ref
    if failed is not None and failed.outcome is not Outcome.COMMITTED and failed.manifest == wanted.manifest:
        code = failed.reason or Reason.KNOWN_BAD
        return _Finding(code, f"{failed.outcome} {named(wanted)}: {_with(IN_WORDS[code], failed.detail)}")
    if ref != plan.candidate and plan.candidate is not None and seen.hardware not in _withdrawn(case):
        serving = "" if report.active is None else f"; it serves {_running(report)}"
        return _Finding(Reason.OUTSIDE_CUT, f"{_outside(case, plan, seen)}{serving}")
    if report.active is None or report.active.manifest != ref.manifest:
        return _Finding(Cause.PENDING, f"it is to run {named(ref)}, and has not begun")
    if ref == plan.candidate:
        return _Finding(Cause.SERVING_CANDIDATE, f"it serves {_running(report)}, and has committed it")
    return _serves_stable(case, seen, report)


def _serves_stable(case: Case, seen: Seen, report: Report) -> _Finding:
    rollout, serving = case.rollout, f"it serves {_running(report)}"
    if seen.hardware in _withdrawn(case):
        why = f"{serving}: hardware class {seen.hardware} was taken back from the rollout"
        return _Finding(Cause.TAKEN_BACK, why)
    if rollout is not None and (rollout.aborted is not None or rollout.outcome is words.Outcome.REVERTED):
        back = f"{named(rollout.order.release)} was taken back"
        reason = f" ({rollout.aborted})" if rollout.aborted else ""
        return _Finding(Cause.TAKEN_BACK, f"{serving}: {back}{reason}")
    return _Finding(Cause.SERVING_STABLE, f"{serving}, the stable release; no candidate is out")


def _withdrawn(case: Case) -> tuple[str, ...]:
    return () if case.rollout is None else case.rollout.withdrawn


def _inside(plan: Plan, seen: Seen) -> bool:
    return cohort.belongs(plan.cut, seen.hardware, plan.salt, seen.id)


def _outside(case: Case, plan: Plan, seen: Seen) -> str:
    place = cohort.position(plan.salt, seen.id)
    cut = cohort.cut_of(plan.cut, seen.hardware)
    said = (
        f"its position {_share(place)} is not below {_share(cut)}, where {_wave(case)} ends in hardware "
        f"class {seen.hardware or 'unknown'}"
    )
    return f"{said}; {_turn(case, seen)}" if case.coming else said


def _share(place: int) -> str:
    return f"{place / 2**64:.4f}"


def _wave(case: Case) -> str:
    rollout = case.rollout
    if rollout is None or rollout.wave < 0:
        return "the plan's wave"
    return wave_words(rollout, rollout.wave)


def wave_words(rollout: Rollout, wave: int) -> str:
    """As in `wave 2 of 4 (5%)`."""
    waves = rollout.order.waves
    return f"wave {wave + 1} of {len(waves)} ({waves[wave]})"


def _turn(case: Case, seen: Seen) -> str:
    rollout = case.rollout
    assert rollout is not None
    first = len(rollout.order.waves) - len(case.coming)
    for number, plan in enumerate(case.coming):
        if _inside(plan, seen):
            return f"it comes in {wave_words(rollout, first + number)}"
    return "no wave of this rollout reaches it"


def _standing(case: Case) -> Standing | None:
    rollout, seen = case.rollout, case.seen
    if rollout is None or seen is None or rollout.outcome is not None or rollout.aborted is not None:
        return None
    return tally.standing(rollout, seen, case.at)


def _besides(found: _Finding, case: Case, standing: Standing | None) -> Iterable[str]:
    """What else is to be known."""
    seen = case.seen
    if seen is None or seen.report is None:
        return
    report = seen.report
    if not seen.online and found.code is not Cause.OFFLINE:
        yield _gone(seen, report, case.at)
    yield from _serials(found, case.plan, report)
    if case.failed_at is not None:
        yield f"the gate counts it as failed since {case.failed_at:%Y-%m-%d %H:%M:%S} UTC"
    if standing is Standing.SILENT:
        yield "the gate counts it as silent, which is failed: it is past its deadline"
    if standing is Standing.AWAY:
        yield "it went away with the release: past its deadline it has failed, unless others went too"
    if case.refused:
        yield f"something came under its name that was not believed: {case.refused[0]}"
    yield from _ailments(report)


def _serials(found: _Finding, plan: Plan | None, report: Report) -> Iterable[str]:
    if plan is None or report.plan_serial == plan.serial:
        return
    if report.plan_serial > plan.serial:
        yield (
            f"it has seen plan {report.plan_serial}, and the newest here is {plan.serial}: another workspace "
            "steers this stream, or this one was restored from an old copy"
        )
    elif found.code is not Cause.PLAN_NOT_SEEN:
        had = "no plan" if report.plan_serial < 0 else f"plan {report.plan_serial}"
        yield f"it has seen {had} so far, not plan {plan.serial}"


def _ailments(report: Report) -> Sequence[str]:
    camera = report.camera
    ill = camera is not None and camera.state is not CameraState.LIVE
    said = (
        f"degraded: {report.degraded}" if report.degraded else "",
        _with(f"camera {camera.state}", camera.detail) if camera is not None and ill else "",
        "its pipeline is paused" if report.paused else "",
    )
    return [each for each in said if each]


def named(ref: ReleaseRef) -> str:
    return f"{ref.name}@{ref.version}"


def _running(report: Report) -> str:
    active = report.active
    assert active is not None
    return f"{active.name}@{active.version}" + (f" on {active.delegate}" if active.delegate else "")


def _with(said: str, detail: str) -> str:
    return f"{said} ({detail})" if detail else said
