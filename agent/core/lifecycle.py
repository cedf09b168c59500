"""The life of a release on one device: every transition, and nothing else, is here.

    IDLE --Wanted--> FETCHING --Fetched--> TRIAL --TrialPassed--> PROBATION --Healthy x n--> IDLE (committed)
                         |                   |                        |
                         +---- refused <-----+                        +--Sick--> IDLE (reverted)

`step` decides, a loop acts. The laws it keeps:

1. Write intent, then act. The loop stores the record that `step` returns before it performs the
   effects; effects are idempotent, and `Started` re-issues the ones that a power cut swallowed.
2. A crash is a failure. `tries` is in the stored record before a trial begins; an unclean start
   during probation counts against the candidate; both are bounded.
3. Nothing active is lost until its heir has committed: `fallback` stays referenced.
4. Probation counts evidence (healthy windows), not time.
5. Unknown means hold; a digest that failed here is remembered and refused here.
6. An impossible event raises and changes nothing; a stale one is named and dropped.
"""

from dataclasses import dataclass
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.wire.documents import Delegate, Ended, Outcome, ProbationPolicy, TrialPolicy
from agent.wire.reasons import Reason
from agent.wire.topics import Digest

TRIALS_MAX: Final = 2
UNCLEAN_STARTS_MAX: Final = 1
KNOWN_BAD_MAX: Final = 256

BLAMES_MANIFEST: Final = frozenset(
    {Reason.CONTRACT_MISMATCH, Reason.LABELS_MISMATCH, Reason.GOLDEN_MISMATCH, Reason.DIGEST_MISMATCH}
)
"""Failures that a new manifest for the same file can mend: they condemn the manifest, not the file."""

EXONERATES: Final = frozenset({Reason.SUPERSEDED})
"""Ends that say nothing against the candidate."""


class Fitted(Struct, frozen=True, kw_only=True):
    """A release as it fits this device: the variant chosen, and every file that must stay on disk."""

    name: str
    version: str
    manifest: Digest
    variant: Digest
    delegate: Delegate
    files: tuple[Digest, ...]


class Idle(Struct, frozen=True, kw_only=True, tag="idle"):
    active: Fitted | None = None
    fallback: Fitted | None = None


class Fetching(Struct, frozen=True, kw_only=True, tag="fetching"):
    active: Fitted | None
    fallback: Fitted | None
    candidate: Fitted


class Trial(Struct, frozen=True, kw_only=True, tag="trial"):
    active: Fitted | None
    fallback: Fitted | None
    candidate: Fitted
    tries: int


class Probation(Struct, frozen=True, kw_only=True, tag="probation"):
    """`active` is the candidate that serves; `fallback` is what served before it."""

    active: Fitted
    fallback: Fitted | None
    need: int
    good: int = 0
    unclean_starts: int = 0


State = Idle | Fetching | Trial | Probation


class Bad(Struct, frozen=True, array_like=True):
    digest: Digest
    reason: Reason


class Record(Struct, frozen=True, kw_only=True):
    """What is fsynced: the state, and what outlives it."""

    state: State = Idle()
    known_bad: tuple[Bad, ...] = ()
    last: Ended | None = None
    plan_serial: int = -1
    trial: TrialPolicy = TrialPolicy()
    probation: ProbationPolicy = ProbationPolicy()
    """The policies of the plan last admitted: a trial that a power cut interrupted goes on under them."""


@dataclass(frozen=True, slots=True)
class Started:
    """The agent came up. `clean` if it went down by its own will."""

    clean: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """The plan asks for this release."""

    release: Fitted


@dataclass(frozen=True, slots=True)
class Fetched:
    manifest: Digest


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """The files cannot be had in a way that trying again would mend."""

    manifest: Digest
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TrialPassed:
    manifest: Digest
    healthy_windows: int


@dataclass(frozen=True, slots=True)
class TrialFailed:
    manifest: Digest
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Healthy:
    manifest: Digest


@dataclass(frozen=True, slots=True)
class Sick:
    manifest: Digest
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Revoked:
    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Rotten:
    """A slot's file on disk no longer has its digest; found at a start."""

    manifest: Digest


Event = (
    Started | Wanted | Fetched | FetchFailed | TrialPassed | TrialFailed | Healthy | Sick | Revoked | Rotten
)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Pull every file of the release that is not on disk."""

    release: Fitted


@dataclass(frozen=True, slots=True)
class Try:
    """Prove the candidate in a canary, then beside the running release."""

    candidate: Fitted
    running: Fitted | None


@dataclass(frozen=True, slots=True)
class Activate:
    """Make the worker serve this release; nothing if it does already."""

    release: Fitted


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the fetch or the trial of this release."""

    release: Fitted


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the world how an update ended."""

    ended: Ended


@dataclass(frozen=True, slots=True)
class Collect:
    """Delete what no slot refers to."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The event spoke of a release that is no longer under way."""

    event: Event


Effect = Fetch | Try | Activate | Cancel | Announce | Collect | Dropped
Step = tuple[Record, tuple[Effect, ...]]


class ImpossibleEvent(Exception):
    def __init__(self, record: Record, event: Event) -> None:
        super().__init__(f"{type(event).__name__} cannot happen in {type(record.state).__name__}: {event}")


def why_bad(record: Record, release: Fitted) -> Reason | None:
    """The reason for which this release is refused here, if it is."""
    named = {bad.digest: bad.reason for bad in record.known_bad}
    reason = named.get(release.manifest) or named.get(release.variant)
    if reason is None:
        return None
    return Reason.REVOKED if reason is Reason.REVOKED else Reason.KNOWN_BAD


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
        case Started(clean):
            return _started(record, clean=clean)
        case Wanted(release):
            return _wanted(record, release)
        case Revoked(digests):
            known = _remember(record.known_bad, tuple(Bad(digest, Reason.REVOKED) for digest in digests))
            return replace(record, known_bad=known), ()
        case Rotten(manifest):
            return _rotten(record, manifest)
        case _:
            return _progress(record, event)


def _started(record: Record, *, clean: bool) -> Step:
    match record.state:
        case Idle(active=active):
            return record, (*_serve(active), Collect())
        case Fetching(active=active, candidate=candidate):
            return record, (*_serve(active), Fetch(candidate))
        case Trial(active=active, candidate=candidate, tries=tries) as state if clean or tries < TRIALS_MAX:
            again = replace(state, tries=tries if clean else tries + 1)
            return replace(record, state=again), (*_serve(active), Try(candidate, active))
        case Trial(active=active):
            refused, effects = _refuse(record, record.state, Reason.CRASHED_IN_TRIAL, f"{TRIALS_MAX} tries")
            return refused, (*_serve(active), *effects)
        case Probation(active=active) as state if clean or state.unclean_starts < UNCLEAN_STARTS_MAX:
            starts = state.unclean_starts + (0 if clean else 1)
            return replace(record, state=replace(state, unclean_starts=starts)), (Activate(active),)
        case Probation() as state:
            return _revert(
                record, state, Reason.RESTARTED_IN_PROBATION, f"{state.unclean_starts + 1} unclean starts"
            )


def _wanted(record: Record, release: Fitted) -> Step:
    state = record.state
    if _pursued(state) == release.manifest or why_bad(record, release) is not None:
        return record, ()
    match state:
        case Idle():
            return _begin(record, release)
        case Fetching(candidate=candidate) | Trial(candidate=candidate):
            ended = _ended(candidate, Outcome.REFUSED, Reason.SUPERSEDED)
            idle = replace(record, state=Idle(active=state.active, fallback=state.fallback), last=ended)
            if state.active is not None and state.active.manifest == release.manifest:
                return idle, (Cancel(candidate), Announce(ended), Collect())
            begun, effects = _begin(idle, release)
            return begun, (Cancel(candidate), Announce(ended), *effects)
        case Probation() as probation:
            reverted, effects = _revert(
                record, probation, Reason.SUPERSEDED, f"{release.name} {release.version}"
            )
            if _pursued(reverted.state) == release.manifest:
                return reverted, effects
            begun, more = _begin(reverted, release)
            return begun, (*effects, *more)


def _pursued(state: State) -> Digest | None:
    """The manifest that the device already runs or is on its way to."""
    match state:
        case Fetching(candidate=candidate) | Trial(candidate=candidate):
            return candidate.manifest
        case Idle(active=active) | Probation(active=active):
            return None if active is None else active.manifest


def _begin(record: Record, release: Fitted) -> Step:
    state = record.state
    return replace(record, state=Fetching(active=state.active, fallback=state.fallback, candidate=release)), (
        Fetch(release),
    )


def _progress(
    record: Record, event: Fetched | FetchFailed | TrialPassed | TrialFailed | Healthy | Sick
) -> Step:
    state = record.state
    if _pursued(state) != event.manifest:
        return record, (Dropped(event),)
    match state, event:
        case Fetching(active=active, fallback=fallback, candidate=candidate), Fetched():
            trial = Trial(active=active, fallback=fallback, candidate=candidate, tries=1)
            return replace(record, state=trial), (Try(candidate, active),)
        case Fetching() as fetching, FetchFailed(_, reason, detail):
            return _refuse(record, fetching, reason, detail)
        case Trial(active=active, candidate=candidate), TrialPassed(_, need):
            probation = Probation(active=candidate, fallback=active, need=need)
            return replace(record, state=probation), (Activate(candidate),)
        case Trial() as trial, TrialFailed(_, reason, detail):
            return _refuse(record, trial, reason, detail)
        case Probation(need=need, good=good) as probation, Healthy() if good + 1 < need:
            return replace(record, state=replace(probation, good=good + 1)), ()
        case Probation(active=active, fallback=fallback), Healthy():
            ended = _ended(active, Outcome.COMMITTED, None)
            committed = Idle(active=active, fallback=fallback)
            return replace(record, state=committed, last=ended), (Announce(ended), Collect())
        case Probation() as probation, Sick(_, reason, detail):
            return _revert(record, probation, reason, detail)
        case Idle(), Healthy() | Sick():
            return record, (Dropped(event),)
        case _:
            raise ImpossibleEvent(record, event)


def _refuse(record: Record, state: Fetching | Trial, reason: Reason, detail: str) -> Step:
    ended = _ended(state.candidate, Outcome.REFUSED, reason, detail)
    back = replace(
        record,
        state=Idle(active=state.active, fallback=state.fallback),
        known_bad=_condemn(record, state.candidate, reason),
        last=ended,
    )
    return back, (Announce(ended), Collect())


def _revert(record: Record, state: Probation, reason: Reason, detail: str) -> Step:
    """Back to what served before; a first release has nothing before it, and the device stays without."""
    ended = _ended(state.active, Outcome.REVERTED, reason, detail)
    back = replace(
        record,
        state=Idle(active=state.fallback),
        known_bad=_condemn(record, state.active, reason),
        last=ended,
    )
    return back, (*_serve(state.fallback, instead_of=state.active), Announce(ended), Collect())


def _rotten(record: Record, manifest: Digest) -> Step:
    """The best slot left becomes active; the file is fetched again when the plan is next read."""
    match record.state:
        case Idle(active=active, fallback=fallback) if active is not None and active.manifest == manifest:
            return replace(record, state=Idle(active=fallback)), _serve(fallback)
        case Probation(active=active, fallback=fallback) if active.manifest == manifest:
            return replace(record, state=Idle(active=fallback)), _serve(fallback)
        case Fetching(active=active, fallback=fallback) as state if (
            active is not None and active.manifest == manifest
        ):
            return replace(record, state=replace(state, active=fallback, fallback=None)), _serve(fallback)
        case Trial(active=active, fallback=fallback) as state if (
            active is not None and active.manifest == manifest
        ):
            return replace(record, state=replace(state, active=fallback, fallback=None)), _serve(fallback)
        case Trial(candidate=candidate) as state if candidate.manifest == manifest:
            again = Fetching(active=state.active, fallback=state.fallback, candidate=candidate)
            return replace(record, state=again), (Fetch(candidate),)
        case state if state.fallback is not None and state.fallback.manifest == manifest:
            return replace(record, state=replace(state, fallback=None)), ()
        case _:
            return record, (Dropped(Rotten(manifest)),)


def _serve(release: Fitted | None, *, instead_of: Fitted | None = None) -> tuple[Effect, ...]:
    if release is not None:
        return (Activate(release),)
    return () if instead_of is None else (Cancel(instead_of),)


def _ended(release: Fitted, outcome: Outcome, reason: Reason | None, detail: str = "") -> Ended:
    return Ended(
        name=release.name,
        version=release.version,
        manifest=release.manifest,
        outcome=outcome,
        reason=reason,
        detail=detail,
    )


def _condemn(record: Record, release: Fitted, reason: Reason) -> tuple[Bad, ...]:
    if reason in EXONERATES:
        return record.known_bad
    digest = release.manifest if reason in BLAMES_MANIFEST else release.variant
    return _remember(record.known_bad, (Bad(digest, reason),))


def _remember(known: tuple[Bad, ...], new: tuple[Bad, ...]) -> tuple[Bad, ...]:
    """The newest word on each digest, oldest forgotten first beyond the bound, revocations never."""
    merged = {bad.digest: bad for bad in known}
    for bad in new:
        if merged.get(bad.digest) is None or bad.reason is Reason.REVOKED:
            merged[bad.digest] = bad
    kept = list(merged.values())
    while len(kept) > KNOWN_BAD_MAX and (
        old := next((b for b in kept if b.reason is not Reason.REVOKED), None)
    ):
        kept.remove(old)
    return tuple(kept)
