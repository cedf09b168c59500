"""The life of a release on one device: every transition, and nothing else, is here.

    IDLE --Wanted--> FETCHING --Fetched--> TRIAL --TrialPassed--> PROBATION --Healthy x n--> IDLE (committed)
                         |                   |                        |
                         +---- refused <-----+                        +--Sick--> IDLE (reverted)

`step` decides, a loop acts. The laws it keeps:

1. Write intent, then act. The loop stores the record that `step` returns before it performs the
   effects; effects are idempotent, and `Started` re-issues the ones that a power cut swallowed.
2. A crash is a failure. `tries` is in the stored record before a trial begins; an unclean start
   during probation counts against the candidate; both are bounded. Not so where the program has been
   changed under a release that nothing served before: an upgrade that does not hold costs no model.
3. Nothing active is lost until its heir has committed: `fallback` stays referenced.
4. Probation counts evidence (healthy windows), not time.
5. Unknown means hold; a digest that failed here is remembered and refused here: for ever, or until
   another program runs, where a broken one could have made it fail.
6. An impossible event raises and changes nothing; a stale one is named and dropped.
"""

from typing import Final

from msgspec.structs import replace

from agent.core.update.known_bad import OF_THE_PROGRAM, Known, against, condemn, forgive, revoke
from agent.core.update.words import (
    Accepted,
    Activate,
    Announce,
    Cancel,
    Collect,
    Dropped,
    Effect,
    Event,
    Fetch,
    Fetched,
    FetchFailed,
    Fetching,
    Fitted,
    Handover,
    Healthy,
    Idle,
    ImpossibleEvent,
    Probation,
    Record,
    Refitted,
    Rest,
    Revoked,
    Rotten,
    Sick,
    Started,
    State,
    Step,
    Trial,
    TrialFailed,
    TrialPassed,
    Try,
    Wanted,
    Withdrawn,
    pursued,
    under_way,
)
from agent.wire.reasons import Reason
from agent.wire.reports import Ended, Outcome
from agent.wire.topics import Digest

__all__ = [
    "TRIALS_MAX",
    "UNCLEAN_STARTS_MAX",
    "UNPROVEN_STARTS_MAX",
    "Accepted",
    "Activate",
    "Announce",
    "Cancel",
    "Collect",
    "Dropped",
    "Effect",
    "Event",
    "Fetch",
    "FetchFailed",
    "Fetched",
    "Fetching",
    "Fitted",
    "Handover",
    "Healthy",
    "Idle",
    "ImpossibleEvent",
    "Probation",
    "Record",
    "Refitted",
    "Rest",
    "Revoked",
    "Rotten",
    "Sick",
    "Started",
    "State",
    "Step",
    "Trial",
    "TrialFailed",
    "TrialPassed",
    "Try",
    "Wanted",
    "Withdrawn",
    "pursued",
    "references",
    "step",
    "under_way",
    "why_bad",
    "witness",
]

TRIALS_MAX: Final = 2
UNCLEAN_STARTS_MAX: Final = 1
UNPROVEN_STARTS_MAX: Final = 10
"""Likewise, while the program is to blame as well: whoever upgraded it takes it back by then."""


def why_bad(record: Record, release: Fitted) -> Reason | None:
    """The reason for which this release is refused here, if it is."""
    return against(record.known_bad, (release.manifest, release.variant))


def references(record: Record) -> frozenset[Digest]:
    """Every file that must stay on disk."""
    state = record.state
    slots = [state.active, state.fallback]
    if isinstance(state, Fetching | Trial):
        slots.append(state.candidate)
    return frozenset(digest for slot in slots if slot is not None for digest in slot.files)


def step(record: Record, event: Event) -> Step:
    """The record to store, then the effects to perform.

    Raises:
        ImpossibleEvent: the caller's bookkeeping is broken; the record is unchanged.
    """
    match event:
        case Started(clean, program) if program == record.program:
            return _started(replace(record, known_bad=forgive(record.known_bad)), clean=clean)
        case Started(_, program):
            return _started(_taken_over(record, program), clean=True)
        case Wanted() as wanted:
            return _wanted(record, wanted)
        case Revoked(digests):
            return _revoked(replace(record, known_bad=revoke(record.known_bad, digests)))
        case Withdrawn():
            return _make_way(record, "the plan offers this device nothing in its place")
        case Rotten(release):
            return _rotten(record, release)
        case Refitted():
            return replace(record, known_bad=forgive(record.known_bad)), ()
        case Accepted(manifest):
            return replace(record, accepted=manifest), ()
        case _:
            return _progress(record, event)


def _taken_over(record: Record, program: str) -> Record:
    """Another program runs from now on: how the one before went down, and at what, says nothing of it."""
    state = record.state
    if isinstance(state, Probation):
        state = replace(state, unclean_starts=0)
    known = forgive(record.known_bad, program_changed=True)
    return replace(record, state=state, known_bad=known, program=program)


def _started(record: Record, *, clean: bool) -> Step:
    match record.state:
        case Idle(active=active):
            return record, (*_serve(active), Collect())
        case Fetching(active=active, candidate=candidate):
            return record, (*_serve(active), Fetch(candidate))
        case Trial(active=active, candidate=candidate, tries=tries) as state if clean or tries < TRIALS_MAX:
            again = replace(state, tries=tries if clean else tries + 1)
            return replace(record, state=again), (*_serve(active), Try(candidate, witness(record)))
        case Trial(active=active):
            refused, effects = _refuse(record, record.state, Reason.CRASHED_IN_TRIAL, f"{TRIALS_MAX} tries")
            return refused, (*_serve(active), *effects)
        case Probation(active=active) as state if clean or state.unclean_starts < _starts_max(record, state):
            starts = state.unclean_starts + (0 if clean else 1)
            return replace(record, state=replace(state, unclean_starts=starts)), (Activate(active),)
        case Probation() as state:
            return _revert(
                record, state, Reason.RESTARTED_IN_PROBATION, f"{state.unclean_starts + 1} unclean starts"
            )


def _starts_max(record: Record, state: Probation) -> int:
    return UNPROVEN_STARTS_MAX if _program_in_doubt(record, state) else UNCLEAN_STARTS_MAX


def _program_in_doubt(record: Record, state: Probation) -> bool:
    """The release has fared well under another program only, and to take it back would leave nothing."""
    return state.fallback is None and state.program != record.program


def witness(record: Record) -> Fitted | None:
    """The release that a new one is measured against: what serves, unless it is refused here itself. What
    is taken back because it answers wrongly would refuse whatever answers rightly.
    """
    active = record.state.active
    return None if active is None or why_bad(record, active) is not None else active


def _wanted(record: Record, wanted: Wanted) -> Step:
    release = wanted.release
    if release.is_as(pursued(record.state)):
        return record, ()
    free, effects = _make_way(record, f"{release.name} {release.version} is wanted")
    if release.is_as(pursued(free.state)) or why_bad(free, release) is not None:
        return free, effects
    goes_back = wanted.stable and release.is_as(free.state.fallback)
    begun, more = _go_back(free, release) if goes_back else _begin(free, release)
    return begun, (*effects, *more)


def _go_back(record: Record, release: Fitted) -> Step:
    """It has committed here before, so it needs no second proof: least of all one beside what is taken back,
    which may answer wrongly, or not at all.
    """
    ended = _ended(release, Outcome.COMMITTED, None)
    back = replace(record, state=Idle(active=release), last=ended)
    return back, (Activate(release), Announce(ended), Collect())


def _make_way(record: Record, why: str) -> Step:
    """What is under way is no longer wanted, so it ends, even where its successor is refused here."""
    match record.state:
        case Idle():
            return record, ()
        case Fetching() | Trial() as state:
            return _give_up(record, state, Reason.SUPERSEDED, why)
        case Probation() as state:
            return _revert(record, state, Reason.SUPERSEDED, why)


def _revoked(record: Record) -> Step:
    """An unproven release ends; a committed one serves until the plan gives the device another."""
    match record.state:
        case Fetching() | Trial() as state if why_bad(record, state.candidate) is Reason.REVOKED:
            return _give_up(record, state, Reason.REVOKED, "")
        case Probation() as probation if why_bad(record, probation.active) is Reason.REVOKED:
            return _revert(record, probation, Reason.REVOKED, "while on probation")
        case _:
            return record, ()


def _begin(record: Record, release: Fitted) -> Step:
    state = record.state
    return replace(record, state=Fetching(active=state.active, fallback=state.fallback, candidate=release)), (
        Fetch(release),
    )


def _progress(
    record: Record, event: Fetched | FetchFailed | TrialPassed | TrialFailed | Healthy | Sick
) -> Step:
    state = record.state
    if not _is_of(pursued(state), event.manifest):
        return record, (Dropped(event),)
    match state, event:
        case Fetching(active=active, fallback=fallback, candidate=candidate), Fetched():
            trial = Trial(active=active, fallback=fallback, candidate=candidate, tries=1)
            return replace(record, state=trial), (Try(candidate, witness(record)),)
        case Fetching() as fetching, FetchFailed(_, reason, detail):
            return _refuse(record, fetching, reason, detail)
        case Trial(active=active, candidate=candidate), TrialPassed() as passed:
            need, program = passed.healthy_windows, record.program
            probation = Probation(active=candidate, fallback=active, need=need, program=program)
            return replace(record, state=probation, handover=_handover(passed)), (Activate(candidate),)
        case Trial() as trial, TrialFailed(_, reason, detail, whole):
            return _refuse(record, trial, reason, detail, whole=whole)
        case Probation(need=need, good=good) as probation, Healthy() if good + 1 < need:
            return replace(record, state=replace(probation, good=good + 1, program=record.program)), ()
        case Probation(active=active, fallback=fallback), Healthy():
            ended = _ended(active, Outcome.COMMITTED, None)
            committed = Idle(active=active, fallback=fallback)
            return replace(record, state=committed, last=ended), (Announce(ended), Collect())
        case (Probation() | Idle()) as served, Sick() as sick:
            return _sick(record, served, sick)
        case Idle(), Healthy():
            return record, (Dropped(event),)
        case _:
            raise ImpossibleEvent(record, event)


def _sick(record: Record, state: Probation | Idle, sick: Sick) -> Step:
    failed_to_load = sick.reason is Reason.ACTIVATION_FAILED
    again = (Activate(state.active, again=True),) if state.active is not None and failed_to_load else ()
    if isinstance(state, Idle):
        return record, again if again and state.fallback is None else (Dropped(sick),)
    if sick.reason in OF_THE_PROGRAM and _program_in_doubt(record, state):
        return record, again
    return _revert(record, state, sick.reason, sick.detail)


def _handover(passed: TrialPassed) -> Handover | None:
    if passed.before is None and not passed.shadow_frames:
        return None
    return Handover(
        manifest=passed.manifest,
        before=passed.before,
        shadow_frames=passed.shadow_frames,
        agreed_frames=passed.agreed_frames,
    )


def _refuse(
    record: Record, state: Fetching | Trial, reason: Reason, detail: str, *, whole: bool = False
) -> Step:
    ended = _ended(state.candidate, Outcome.REFUSED, reason, detail)
    back = replace(
        record,
        state=Idle(active=state.active, fallback=state.fallback),
        known_bad=_condemn(record, state.candidate, reason, whole=whole),
        last=ended,
    )
    return back, (Announce(ended), Collect())


def _give_up(record: Record, state: Fetching | Trial, reason: Reason, detail: str) -> Step:
    refused, effects = _refuse(record, state, reason, detail)
    return refused, (Cancel(state.candidate), *effects)


def _revert(record: Record, state: Probation, reason: Reason, detail: str) -> Step:
    """Back to what served before; a first release has nothing before it, and the device stays without."""
    ended = _ended(state.active, Outcome.REVERTED, reason, detail)
    back = replace(
        record,
        state=Idle(active=state.fallback),
        known_bad=_condemn(record, state.active, reason),
        last=ended,
    )
    return back, (*_serve(state.fallback, resting=True), Announce(ended), Collect())


def _rotten(record: Record, release: Fitted) -> Step:
    """The best slot left becomes active; the file is fetched again when the plan is next read."""
    match record.state:
        case Idle(active=active, fallback=fallback) | Probation(active=active, fallback=fallback) if _is(
            active, release
        ):
            return replace(record, state=Idle(active=fallback)), _serve(fallback)
        case Fetching() | Trial() as state if _is(state.active, release):
            return _lose_active(record, state)
        case Trial(candidate=candidate, fallback=fallback) as state if _is(candidate, release):
            kept = None if _is(fallback, release) else fallback
            again = Fetching(active=state.active, fallback=kept, candidate=candidate)
            return replace(record, state=again), (Fetch(candidate),)
        case state if _is(state.fallback, release):
            return replace(record, state=replace(state, fallback=None)), ()
        case _:
            return record, (Dropped(Rotten(release)),)


def _lose_active(record: Record, state: Fetching | Trial) -> Step:
    """The fallback serves; where it is the candidate too, it has committed before and needs no trial."""
    fallback, candidate = state.fallback, state.candidate
    if fallback is not None and fallback.is_as(candidate):
        return replace(record, state=Idle(active=fallback)), (Cancel(candidate), *_serve(fallback))
    return replace(record, state=replace(state, active=fallback, fallback=None)), _serve(fallback)


def _is(slot: Fitted | None, release: Fitted) -> bool:
    return slot is not None and slot.is_as(release)


def _is_of(slot: Fitted | None, manifest: Digest) -> bool:
    return slot is not None and slot.manifest == manifest


def _serve(release: Fitted | None, *, resting: bool = False) -> tuple[Effect, ...]:
    if release is not None:
        return (Activate(release),)
    return (Rest(),) if resting else ()


def _ended(release: Fitted, outcome: Outcome, reason: Reason | None, detail: str = "") -> Ended:
    return Ended(
        name=release.name,
        version=release.version,
        manifest=release.manifest,
        outcome=outcome,
        reason=reason,
        detail=detail,
    )


def _condemn(record: Record, release: Fitted, reason: Reason, *, whole: bool = False) -> Known:
    return condemn(
        record.known_bad,
        reason,
        manifest=release.manifest,
        variant=release.manifest if whole else release.variant,
        twin=release.twin,
    )
