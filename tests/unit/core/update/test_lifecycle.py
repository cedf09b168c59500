"""The transitions of `agent.core.update.lifecycle`, one by one; its laws are in test_lifecycle_laws.py."""

import msgspec
import pytest
from msgspec.structs import replace

from agent.core.update.known_bad import KNOWN_BAD_MAX, Bad, condemn
from agent.core.update.lifecycle import (
    UNCLEAN_STARTS_MAX,
    UNPROVEN_STARTS_MAX,
    Activate,
    Announce,
    Cancel,
    Collect,
    Dropped,
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
    Trial,
    TrialFailed,
    TrialPassed,
    Try,
    Wanted,
    Withdrawn,
    references,
    step,
    why_bad,
)
from agent.wire.documents import Delegate
from agent.wire.reasons import Reason
from agent.wire.reports import Ended, Evidence, Outcome
from agent.wire.topics import Digest, sha256


def release(name: str) -> Fitted:
    manifest, variant = sha256(f"{name}.json".encode()), sha256(f"{name}.tflite".encode())
    return Fitted(
        name=name,
        version="1",
        manifest=manifest,
        variant=variant,
        delegate=Delegate.CPU,
        files=(manifest, variant, sha256(b"labels.txt")),
    )


A, B, C = release("a"), release("b"), release("c")


def ended(of: Fitted, outcome: Outcome, reason: Reason | None = None, detail: str = "") -> Ended:
    return Ended(
        name=of.name, version="1", manifest=of.manifest, outcome=outcome, reason=reason, detail=detail
    )


COMMITTED_B, COMMITTED_C = ended(B, Outcome.COMMITTED), ended(C, Outcome.COMMITTED)
SLOW_C = ended(C, Outcome.REFUSED, Reason.TOO_SLOW, "9 ms")
SUPERSEDED_BY_B = ended(C, Outcome.REFUSED, Reason.SUPERSEDED, "b 1 is wanted")
SUPERSEDED_BY_A = ended(C, Outcome.REFUSED, Reason.SUPERSEDED, "a 1 is wanted")
NOTHING = "the plan offers this device nothing in its place"
TAKEN_BACK_C = ended(C, Outcome.REFUSED, Reason.SUPERSEDED, NOTHING)
TAKEN_BACK_LATE_C = ended(C, Outcome.REVERTED, Reason.SUPERSEDED, NOTHING)
REVOKED_C = ended(C, Outcome.REFUSED, Reason.REVOKED)
CRASHED_C = ended(C, Outcome.REFUSED, Reason.CRASHED_IN_TRIAL, "2 tries")
SICK_C = ended(C, Outcome.REVERTED, Reason.WORKER_CRASHED, "SIGSEGV")
RESTARTED_C = ended(C, Outcome.REVERTED, Reason.RESTARTED_IN_PROBATION, "2 unclean starts")
WITHDRAWN_C = ended(C, Outcome.REVERTED, Reason.SUPERSEDED, "b 1 is wanted")
LATE_REVOKED_C = ended(C, Outcome.REVERTED, Reason.REVOKED, "while on probation")
BAD_C = (Bad(C.variant, Reason.TOO_SLOW),)

EMPTY, RUNS_A = Idle(), Idle(active=A, fallback=B)
FETCHES_C = Fetching(active=A, fallback=B, candidate=C)
TRIES_C = Trial(active=A, fallback=B, candidate=C, tries=1)
PROBES_C = Probation(active=C, fallback=A, need=2)


def after(state, *, last=None, known_bad=()):
    return Record(state=state, last=last, known_bad=known_bad)


@pytest.mark.parametrize(
    ("state", "event", "record", "effects"),
    [
        # the way in
        (EMPTY, Wanted(C), after(Fetching(active=None, fallback=None, candidate=C)), (Fetch(C),)),
        (RUNS_A, Wanted(C), after(FETCHES_C), (Fetch(C),)),
        (RUNS_A, Wanted(A), after(RUNS_A), ()),
        (RUNS_A, Wanted(B), after(Fetching(active=A, fallback=B, candidate=B)), (Fetch(B),)),
        (FETCHES_C, Wanted(C), after(FETCHES_C), ()),
        (FETCHES_C, Fetched(C.manifest), after(TRIES_C), (Try(C, A),)),
        (TRIES_C, Wanted(C), after(TRIES_C), ()),
        (TRIES_C, TrialPassed(C.manifest, 2), after(PROBES_C), (Activate(C),)),
        (PROBES_C, Healthy(C.manifest), after(replace(PROBES_C, good=1)), ()),
        (
            replace(PROBES_C, good=1),
            Healthy(C.manifest),
            after(Idle(active=C, fallback=A), last=COMMITTED_C),
            (Announce(COMMITTED_C), Collect()),
        ),
        # the ways out
        (
            FETCHES_C,
            FetchFailed(C.manifest, Reason.TOO_SLOW, "9 ms"),
            after(RUNS_A, last=SLOW_C, known_bad=BAD_C),
            (Announce(SLOW_C), Collect()),
        ),
        (
            TRIES_C,
            TrialFailed(C.manifest, Reason.TOO_SLOW, "9 ms"),
            after(RUNS_A, last=SLOW_C, known_bad=BAD_C),
            (Announce(SLOW_C), Collect()),
        ),
        (
            PROBES_C,
            Sick(C.manifest, Reason.WORKER_CRASHED, "SIGSEGV"),
            after(Idle(active=A), last=SICK_C, known_bad=(Bad(C.variant, Reason.WORKER_CRASHED),)),
            (Activate(A), Announce(SICK_C), Collect()),
        ),
        (
            Probation(active=C, fallback=None, need=2),
            Sick(C.manifest, Reason.WORKER_CRASHED, "SIGSEGV"),
            after(EMPTY, last=SICK_C, known_bad=(Bad(C.variant, Reason.WORKER_CRASHED),)),
            (Rest(), Announce(SICK_C), Collect()),
        ),
        # another wish
        (
            FETCHES_C,
            Wanted(B),
            after(Fetching(active=A, fallback=B, candidate=B), last=SUPERSEDED_BY_B),
            (Cancel(C), Announce(SUPERSEDED_BY_B), Collect(), Fetch(B)),
        ),
        (
            TRIES_C,
            Wanted(A),
            after(RUNS_A, last=SUPERSEDED_BY_A),
            (Cancel(C), Announce(SUPERSEDED_BY_A), Collect()),
        ),
        (
            PROBES_C,
            Wanted(B),
            after(Fetching(active=A, fallback=None, candidate=B), last=WITHDRAWN_C),
            (Activate(A), Announce(WITHDRAWN_C), Collect(), Fetch(B)),
        ),
        # back to what is stable: what has committed here before needs no second proof
        (
            RUNS_A,
            Wanted(B, stable=True),
            after(Idle(active=B), last=COMMITTED_B),
            (Activate(B), Announce(COMMITTED_B), Collect()),
        ),
        (
            TRIES_C,
            Wanted(B, stable=True),
            after(Idle(active=B), last=COMMITTED_B),
            (
                Cancel(C),
                Announce(SUPERSEDED_BY_B),
                Collect(),
                Activate(B),
                Announce(COMMITTED_B),
                Collect(),
            ),
        ),
        (RUNS_A, Wanted(C, stable=True), after(FETCHES_C), (Fetch(C),)),
        # a wish taken back
        (RUNS_A, Withdrawn(), after(RUNS_A), ()),
        (
            FETCHES_C,
            Withdrawn(),
            after(RUNS_A, last=TAKEN_BACK_C),
            (Cancel(C), Announce(TAKEN_BACK_C), Collect()),
        ),
        (
            PROBES_C,
            Withdrawn(),
            after(Idle(active=A), last=TAKEN_BACK_LATE_C),
            (Activate(A), Announce(TAKEN_BACK_LATE_C), Collect()),
        ),
        # starts
        (EMPTY, Started(clean=False), after(EMPTY), (Collect(),)),
        (RUNS_A, Started(clean=False), after(RUNS_A), (Activate(A), Collect())),
        (FETCHES_C, Started(clean=False), after(FETCHES_C), (Activate(A), Fetch(C))),
        (TRIES_C, Started(clean=True), after(TRIES_C), (Activate(A), Try(C, A))),
        (TRIES_C, Started(clean=False), after(replace(TRIES_C, tries=2)), (Activate(A), Try(C, A))),
        (
            replace(TRIES_C, tries=2),
            Started(clean=False),
            after(RUNS_A, last=CRASHED_C, known_bad=(Bad(C.variant, Reason.CRASHED_IN_TRIAL),)),
            (Activate(A), Announce(CRASHED_C), Collect()),
        ),
        (PROBES_C, Started(clean=True), after(PROBES_C), (Activate(C),)),
        (PROBES_C, Started(clean=False), after(replace(PROBES_C, unclean_starts=1)), (Activate(C),)),
        (
            replace(PROBES_C, unclean_starts=1),
            Started(clean=False),
            after(
                Idle(active=A), last=RESTARTED_C, known_bad=(Bad(C.variant, Reason.RESTARTED_IN_PROBATION),)
            ),
            (Activate(A), Announce(RESTARTED_C), Collect()),
        ),
        # revocations
        (
            FETCHES_C,
            Revoked((C.manifest,)),
            after(RUNS_A, last=REVOKED_C, known_bad=(Bad(C.manifest, Reason.REVOKED),)),
            (Cancel(C), Announce(REVOKED_C), Collect()),
        ),
        (
            TRIES_C,
            Revoked((C.variant,)),
            after(RUNS_A, last=REVOKED_C, known_bad=(Bad(C.variant, Reason.REVOKED),)),
            (Cancel(C), Announce(REVOKED_C), Collect()),
        ),
        (
            PROBES_C,
            Revoked((C.manifest,)),
            after(Idle(active=A), last=LATE_REVOKED_C, known_bad=(Bad(C.manifest, Reason.REVOKED),)),
            (Activate(A), Announce(LATE_REVOKED_C), Collect()),
        ),
        (RUNS_A, Revoked((A.manifest,)), after(RUNS_A, known_bad=(Bad(A.manifest, Reason.REVOKED),)), ()),
        # rotten files
        (RUNS_A, Rotten(A), after(Idle(active=B)), (Activate(B),)),
        (RUNS_A, Rotten(B), after(Idle(active=A)), ()),
        (Idle(active=A), Rotten(A), after(EMPTY), ()),
        (
            FETCHES_C,
            Rotten(A),
            after(Fetching(active=B, fallback=None, candidate=C)),
            (Activate(B),),
        ),
        (
            TRIES_C,
            Rotten(A),
            after(Trial(active=B, fallback=None, candidate=C, tries=1)),
            (Activate(B),),
        ),
        (TRIES_C, Rotten(C), after(FETCHES_C), (Fetch(C),)),
        (
            Trial(active=A, fallback=B, candidate=B, tries=1),
            Rotten(A),
            after(Idle(active=B)),
            (Cancel(B), Activate(B)),
        ),
        (
            Trial(active=A, fallback=B, candidate=B, tries=1),
            Rotten(B),
            after(Fetching(active=A, fallback=None, candidate=B)),
            (Fetch(B),),
        ),
        (PROBES_C, Rotten(C), after(Idle(active=A)), (Activate(A),)),
        (PROBES_C, Rotten(A), after(replace(PROBES_C, fallback=None)), ()),
        (FETCHES_C, Rotten(C), after(FETCHES_C), (Dropped(Rotten(C)),)),
        # late words
        (RUNS_A, Fetched(C.manifest), after(RUNS_A), (Dropped(Fetched(C.manifest)),)),
        (RUNS_A, Healthy(A.manifest), after(RUNS_A), (Dropped(Healthy(A.manifest)),)),
        (TRIES_C, Healthy(A.manifest), after(TRIES_C), (Dropped(Healthy(A.manifest)),)),
        (PROBES_C, TrialPassed(B.manifest, 2), after(PROBES_C), (Dropped(TrialPassed(B.manifest, 2)),)),
    ],
)
def test_each_event_leads_from_a_state_to_the_next(state, event, record, effects):
    assert step(Record(state=state), event) == (record, effects)


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (FETCHES_C, TrialPassed(C.manifest, 2)),
        (FETCHES_C, Healthy(C.manifest)),
        (TRIES_C, Fetched(C.manifest)),
        (TRIES_C, Sick(C.manifest, Reason.INVOKE_ERRORS)),
        (PROBES_C, Fetched(C.manifest)),
        (RUNS_A, TrialPassed(A.manifest, 2)),
    ],
)
def test_an_impossible_event_raises_and_leaves_the_record_as_it_was(state, event):
    record = Record(state=state)
    before = msgspec.json.encode(record)
    with pytest.raises(
        ImpossibleEvent, match=f"{type(event).__name__} cannot happen in {type(state).__name__}"
    ):
        step(record, event)
    assert msgspec.json.encode(record) == before


@pytest.mark.parametrize(
    ("reason", "condemned"),
    [
        (Reason.GOLDEN_MISMATCH, C.manifest),
        (Reason.LABELS_MISMATCH, C.manifest),
        (Reason.CONTRACT_MISMATCH, C.manifest),
        (Reason.DIGEST_MISMATCH, C.manifest),
        (Reason.CANARY_CRASHED, C.variant),
        (Reason.LOAD_FAILED, C.variant),
    ],
)
def test_a_failure_condemns_the_manifest_or_the_file_whichever_is_to_blame(reason, condemned):
    record, _ = step(Record(state=TRIES_C), TrialFailed(C.manifest, reason))
    assert record.known_bad == (Bad(condemned, reason),)
    assert why_bad(record, C) is Reason.KNOWN_BAD


@pytest.mark.parametrize("reason", [Reason.LOW_DISK, Reason.SUPERSEDED])
def test_a_release_is_not_blamed_for_what_it_has_not_done(reason):
    record, _ = step(Record(state=FETCHES_C), FetchFailed(C.manifest, reason))
    assert (record.known_bad, why_bad(record, C)) == ((), None)


@pytest.mark.parametrize("bad", [Bad(C.manifest, Reason.GOLDEN_MISMATCH), Bad(C.variant, Reason.REVOKED)])
def test_a_bad_release_is_never_begun_again(bad):
    record = Record(state=RUNS_A, known_bad=(bad,))
    assert step(record, Wanted(C)) == (record, ())


def test_what_is_no_longer_wanted_ends_even_if_its_successor_is_refused_here():
    known_bad = (Bad(B.variant, Reason.TOO_SLOW),)
    assert step(Record(state=PROBES_C, known_bad=known_bad), Wanted(B)) == (
        after(Idle(active=A), last=WITHDRAWN_C, known_bad=known_bad),
        (Activate(A), Announce(WITHDRAWN_C), Collect()),
    )


def test_a_revocation_outweighs_a_failure_of_the_same_release():
    record = Record(known_bad=(Bad(C.manifest, Reason.GOLDEN_MISMATCH), Bad(C.variant, Reason.REVOKED)))
    assert why_bad(record, C) is Reason.REVOKED


def test_a_digest_keeps_the_reason_of_its_first_failure_until_it_is_revoked():
    known = condemn((), Reason.TOO_SLOW, manifest=C.manifest, variant=C.variant)
    assert condemn(known, Reason.LOAD_FAILED, manifest=C.manifest, variant=C.variant) == known
    record, _ = step(Record(known_bad=known), Revoked((C.variant,)))
    assert record.known_bad == (Bad(C.variant, Reason.REVOKED),)


PAIR = replace(A, variant=sha256(b"a_edgetpu.tflite"), delegate=Delegate.EDGETPU, twin=A.variant)
"""A as it fits a device with an Edge TPU."""
TRIES_PAIR = Trial(active=A, fallback=B, candidate=PAIR, tries=1)


def test_a_release_whose_edge_tpu_appears_later_goes_through_trial_and_probation_again():
    fetching, effects = step(Record(state=RUNS_A), Wanted(PAIR))
    assert effects == (Fetch(PAIR),)
    trying, effects = step(fetching, Fetched(PAIR.manifest))
    assert (trying.state, effects) == (TRIES_PAIR, (Try(PAIR, A),))
    probing, effects = step(trying, TrialPassed(PAIR.manifest, 1))
    assert effects == (Activate(PAIR),)
    committed, _ = step(probing, Healthy(PAIR.manifest))
    assert committed.state == Idle(active=PAIR, fallback=A)
    assert step(committed, Wanted(PAIR)) == (committed, ())


@pytest.mark.parametrize("reason", [Reason.GOLDEN_MISMATCH, Reason.CANARY_CRASHED, Reason.TOO_SLOW])
def test_a_compiled_variant_that_fails_never_condemns_a_release_that_has_a_twin(reason):
    refused, _ = step(Record(state=TRIES_PAIR), TrialFailed(PAIR.manifest, reason))
    assert refused.known_bad == (Bad(PAIR.variant, reason),)
    assert why_bad(refused, PAIR) is Reason.KNOWN_BAD
    assert why_bad(refused, A) is None
    assert refused.state == RUNS_A


@pytest.mark.parametrize("reason", [Reason.GOLDEN_MISMATCH, Reason.CANARY_CRASHED, Reason.NEEDS_EDGETPU])
def test_a_twin_that_cannot_stand_in_condemns_the_release_and_neither_of_its_files(reason):
    refused, _ = step(Record(state=TRIES_PAIR), TrialFailed(PAIR.manifest, reason, whole=True))
    assert refused.known_bad == (Bad(PAIR.manifest, reason),)
    assert refused.state == RUNS_A


@pytest.mark.parametrize("event", [Started(clean=True), Started(clean=False), Refitted()])
def test_what_only_lacked_its_edge_tpu_is_forgiven_at_a_start_and_when_the_hardware_changes(event):
    lacked, _ = step(Record(state=TRIES_PAIR), TrialFailed(PAIR.manifest, Reason.NEEDS_EDGETPU))
    assert why_bad(lacked, PAIR) is Reason.NEEDS_EDGETPU
    assert step(lacked, Wanted(PAIR)) == (lacked, ())
    kept = Bad(C.variant, Reason.TOO_SLOW)
    forgiven, _ = step(replace(lacked, known_bad=(*lacked.known_bad, kept)), event)
    assert forgiven.known_bad == (kept,)


@pytest.mark.parametrize("reason", [Reason.CANARY_CRASHED, Reason.WORKER_CRASHED, Reason.GOLDEN_MISMATCH])
@pytest.mark.parametrize(("program", "remembered"), [("p 1", True), ("p 2", False)])
def test_what_failed_under_one_program_may_be_tried_under_another(reason, program, remembered):
    of_the_model = Bad(B.variant, Reason.CONTRACT_MISMATCH)
    known = (of_the_model, Bad(C.variant, reason))
    started, _ = step(Record(state=RUNS_A, known_bad=known, program="p 1"), Started(True, program))
    assert started.known_bad == (known if remembered else (of_the_model,))
    assert started.program == program


FIRST = Record(state=Probation(active=C, fallback=None, need=3, program="p 1"), program="p 1")
"""The first release of a device, on probation."""


@pytest.mark.parametrize(
    ("reason", "effects"),
    [(Reason.WORKER_CRASHED, ()), (Reason.ACTIVATION_FAILED, (Activate(C, again=True),))],
)
def test_a_broken_upgrade_of_the_program_does_not_cost_a_device_its_first_release(reason, effects):
    upgraded, _ = step(FIRST, Started(True, "p 2"))
    sick = Sick(C.manifest, reason, "no worker today")
    assert step(upgraded, sick) == (upgraded, effects)
    back, activated = step(upgraded, Started(False, "p 1"))
    assert (back.state.active, activated) == (C, (Activate(C),))
    assert step(back, sick)[0].state == EMPTY


def test_a_release_that_has_fared_well_under_the_new_program_is_judged_as_ever():
    upgraded, _ = step(FIRST, Started(True, "p 2"))
    well, _ = step(upgraded, Healthy(C.manifest))
    assert step(well, Sick(C.manifest, Reason.WORKER_CRASHED))[0].state == EMPTY


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (replace(FIRST.state, fallback=A), Reason.WORKER_CRASHED),
        (FIRST.state, Reason.NEEDS_EDGETPU),
    ],
)
def test_an_upgrade_shields_no_release_that_has_a_way_back_or_another_illness(state, reason):
    upgraded, _ = step(replace(FIRST, state=state), Started(True, "p 2"))
    assert isinstance(step(upgraded, Sick(C.manifest, reason))[0].state, Idle)


@pytest.mark.parametrize(("fallback", "effect"), [(None, Activate(A, again=True)), (B, None)])
def test_a_committed_release_that_is_alone_is_served_again_when_its_worker_died_with_it(fallback, effect):
    record, sick = Record(state=Idle(active=A, fallback=fallback)), Sick(A.manifest, Reason.ACTIVATION_FAILED)
    assert step(record, sick) == (record, (effect or Dropped(sick),))


def starts_until_it_is_taken_back(record: Record, program: str) -> int:
    starts = 0
    while isinstance(record.state, Probation):
        record, _ = step(record, Started(False, program))
        starts += 1
    return starts


def test_an_upgrade_that_brings_the_agent_down_again_and_again_ends_the_release_later():
    assert starts_until_it_is_taken_back(FIRST, "p 1") == UNCLEAN_STARTS_MAX + 1
    # The first of them tells how the program before it went down.
    assert starts_until_it_is_taken_back(FIRST, "p 2") == 1 + UNPROVEN_STARTS_MAX + 1


def test_how_often_a_broken_upgrade_went_down_is_not_counted_against_the_program_before_it():
    record = FIRST
    for _ in range(UNPROVEN_STARTS_MAX):
        record, _ = step(record, Started(False, "p 2"))
    back, effects = step(record, Started(False, "p 1"))
    assert (back, effects) == (FIRST, (Activate(C),))


def test_a_rotten_compiled_variant_leaves_the_slot_of_the_same_release_on_the_cpu():
    record, effects = step(Record(state=Idle(active=PAIR, fallback=A)), Rotten(PAIR))
    assert (record.state, effects) == (Idle(active=A), (Activate(A),))


def test_a_repeated_revocation_changes_nothing():
    once, _ = step(Record(), Revoked((A.manifest, B.manifest)))
    assert step(once, Revoked((A.manifest, B.manifest))) == (once, ())


def test_the_memory_forgets_the_oldest_failures_and_never_a_revocation():
    revoked = tuple(sha256(b"revoked %d" % number) for number in range(KNOWN_BAD_MAX + 44))
    record, _ = step(Record(state=EMPTY), Revoked(revoked))
    failed: list[Digest] = []
    for number in range(KNOWN_BAD_MAX + 3):
        candidate = release(f"failure {number}")
        record, _ = step(replace(record, state=TRIES_C), Wanted(candidate))
        record, _ = step(record, FetchFailed(candidate.manifest, Reason.LOAD_FAILED))
        failed.append(candidate.variant)
    assert record.known_bad == (
        *(Bad(digest, Reason.REVOKED) for digest in revoked),
        *(Bad(digest, Reason.LOAD_FAILED) for digest in failed[3:]),
    )


@pytest.mark.parametrize("state", [EMPTY, RUNS_A, FETCHES_C, TRIES_C, PROBES_C])
def test_a_record_survives_the_disk(state):
    record = Record(state=state, known_bad=BAD_C, last=SLOW_C, plan_serial=7)
    assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (EMPTY, ()),
        (RUNS_A, (A, B)),
        (FETCHES_C, (A, B, C)),
        (TRIES_C, (A, B, C)),
        (PROBES_C, (C, A)),
    ],
)
def test_every_file_of_every_slot_stays_on_disk(state, kept):
    assert references(Record(state=state)) == {digest for slot in kept for digest in slot.files}


def test_what_a_release_is_measured_against_is_kept_with_the_state():
    before = Evidence(manifest=A.manifest, digest=A.variant, frames=7)
    passed = TrialPassed(C.manifest, 2, shadow_frames=20, agreed_frames=19, before=before)
    probing, _ = step(Record(state=TRIES_C), passed)
    assert probing.handover == Handover(
        manifest=C.manifest, before=before, shadow_frames=20, agreed_frames=19
    )
    committed, _ = step(step(probing, Healthy(C.manifest))[0], Healthy(C.manifest))
    assert committed.handover == probing.handover


def test_a_release_that_is_refused_here_is_no_witness_against_its_successor():
    revoked = (Bad(A.manifest, Reason.REVOKED),)
    tried, effects = step(Record(state=FETCHES_C, known_bad=revoked), Fetched(C.manifest))
    assert effects == (Try(C, None),)
    assert step(tried, Started(clean=True))[1] == (Activate(A), Try(C, None))


def test_a_stable_release_that_has_failed_here_is_not_gone_back_to():
    failed = Record(state=RUNS_A, known_bad=(Bad(B.variant, Reason.WORKER_CRASHED),))
    assert step(failed, Wanted(B, stable=True)) == (failed, ())
