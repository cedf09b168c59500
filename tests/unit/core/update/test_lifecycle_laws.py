"""The laws that `agent.core.update.lifecycle` states, whatever happens and wherever the power fails."""

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.update.lifecycle import (
    TRIALS_MAX,
    UNPROVEN_STARTS_MAX,
    Activate,
    Announce,
    Dropped,
    Event,
    Fetch,
    Fetched,
    FetchFailed,
    Fetching,
    Fitted,
    Healthy,
    Idle,
    ImpossibleEvent,
    Probation,
    Record,
    Rest,
    Revoked,
    Rotten,
    Sick,
    Started,
    Step,
    Trial,
    TrialFailed,
    TrialPassed,
    Try,
    Wanted,
    references,
    step,
    why_bad,
)
from agent.wire.documents import Delegate
from agent.wire.reasons import Reason
from agent.wire.reports import Outcome
from agent.wire.topics import sha256


def release(name: str, file: str) -> Fitted:
    manifest, variant = sha256(f"{name}.json".encode()), sha256(file.encode())
    return Fitted(
        name=name,
        version="1",
        manifest=manifest,
        variant=variant,
        delegate=Delegate.CPU,
        files=(manifest, variant),
    )


A, B, C = release("a", "a.tflite"), release("b", "b.tflite"), release("c", "c.tflite")
D = release("d", "a.tflite")
"""New labels for the file of A."""

COMPILED = sha256(b"b_edgetpu.tflite")
E = msgspec.structs.replace(
    B, variant=COMPILED, delegate=Delegate.EDGETPU, twin=B.variant, files=(*B.files, COMPILED)
)
"""B as it fits a device with an Edge TPU."""

RELEASES = st.sampled_from([A, B, C, D, E])
REASONS = st.sampled_from(
    [Reason.GOLDEN_MISMATCH, Reason.TOO_SLOW, Reason.WORKER_CRASHED, Reason.LOW_DISK, Reason.SUPERSEDED]
)


def about(of: Fitted, reason: Reason) -> st.SearchStrategy[Event]:
    return st.sampled_from(
        [
            Started(clean=True),
            Started(clean=False),
            Started(clean=True, program="another"),
            Started(clean=False, program="another"),
            Wanted(of),
            Wanted(of, stable=True),
            Fetched(of.manifest),
            FetchFailed(of.manifest, reason),
            TrialPassed(of.manifest, 2),
            TrialFailed(of.manifest, reason),
            Healthy(of.manifest),
            Sick(of.manifest, reason),
            Revoked((of.manifest,)),
            Rotten(of),
        ]
    )


ANYTHING = st.tuples(RELEASES, REASONS).flatmap(lambda drawn: about(*drawn))
LIKELY = st.lists(
    st.one_of(
        RELEASES.map(lambda r: (Wanted(r), Fetched(r.manifest), TrialPassed(r.manifest, 2))),
        RELEASES.map(lambda r: (Healthy(r.manifest), Healthy(r.manifest))),
        ANYTHING.map(lambda event: (event,)),
    ),
    max_size=16,
).map(lambda runs: [event for run in runs for event in run])


def history(events: list[Event], record: Record | None = None) -> Iterator[tuple[Record, Event, Step]]:
    """Every step that these events lead to; the impossible ones raise and lead nowhere."""
    record = Record() if record is None else record
    for event in events:
        before = msgspec.json.encode(record)
        try:
            done = step(record, event)
        except ImpossibleEvent:
            assert msgspec.json.encode(record) == before
            continue
        yield record, event, done
        record = done[0]


def incumbent(record: Record) -> Fitted | None:
    """What has committed and stays until an heir has: it serves, or waits for the end of a probation."""
    state = record.state
    return state.fallback if isinstance(state, Probation) else state.active


def committed(done: Step) -> bool:
    return any(isinstance(e, Announce) and e.ended.outcome is Outcome.COMMITTED for e in done[1])


@given(LIKELY)
def test_what_serves_outside_probation_has_committed_once(events):
    proven = set()
    for before, _, (after, effects) in history(events):
        if committed((after, effects)):
            proven.add(before.state.active.manifest)
        slots = [incumbent(after), after.state.fallback]
        assert {slot.manifest for slot in slots if slot is not None} <= proven


@given(LIKELY)
def test_only_an_heir_that_commits_or_a_rotten_file_replaces_what_has_committed(events):
    for before, event, done in history(events):
        if not isinstance(event, Rotten) and not committed(done):
            assert incumbent(done[0]) == incumbent(before)


@given(LIKELY)
def test_the_files_of_what_serves_and_of_what_it_may_fall_back_to_are_always_kept(events):
    for _, _, (after, _) in history(events):
        kept = references(after)
        for slot in (after.state.active, after.state.fallback, incumbent(after)):
            assert slot is None or kept.issuperset(slot.files)


@given(LIKELY)
def test_no_release_is_candidate_and_active_at_once(events):
    for _, _, (after, _) in history(events):
        state = after.state
        if isinstance(state, Fetching | Trial) and state.active is not None:
            assert not state.candidate.is_as(state.active)
        if isinstance(state, Idle | Probation) and None not in {state.active, state.fallback}:
            assert state.active != state.fallback


@given(LIKELY)
def test_nothing_that_failed_here_or_was_revoked_is_fetched_or_tried(events):
    for _, _, (after, effects) in history(events):
        begun = [e.release for e in effects if isinstance(e, Fetch)]
        begun += [e.candidate for e in effects if isinstance(e, Try)]
        assert [why_bad(after, of) for of in begun] == [None] * len(begun)


@given(LIKELY)
def test_a_revoked_release_neither_stays_under_way_nor_commits(events):
    for _, event, (after, effects) in history(events):
        if isinstance(after.state, Fetching | Trial):
            assert why_bad(after, after.state.candidate) is not Reason.REVOKED
        if isinstance(event, Healthy) and committed((after, effects)):
            assert why_bad(after, after.state.active) is not Reason.REVOKED


@given(LIKELY)
def test_a_word_about_what_is_not_under_way_is_named_and_dropped(events):
    of = Fetched | FetchFailed | TrialPassed | TrialFailed | Healthy | Sick
    for before, event, done in history(events):
        state = before.state
        pursued = state.candidate if isinstance(state, Fetching | Trial) else state.active
        if isinstance(event, of) and (pursued is None or event.manifest != pursued.manifest):
            assert done == (before, (Dropped(event),))


@given(LIKELY)
def test_crash_after_crash_comes_to_rest(events):
    """Neither a trial nor a probation survives more crashes than its bound; a fetch runs no model."""
    for _, _, (after, _) in history(events):
        crash = Started(clean=False, program=after.program)
        crashes = [crash] * (max(TRIALS_MAX, UNPROVEN_STARTS_MAX) + 1)
        *_, (_, _, (last, _)) = history(crashes, after)
        assert isinstance(last.state, Fetching if isinstance(after.state, Fetching) else Idle)


@given(LIKELY)
def test_a_clean_restart_costs_a_release_nothing(events):
    for _, _, (after, _) in history(events):
        assert step(after, Started(clean=True, program=after.program))[0] == after


@given(LIKELY)
def test_every_record_survives_the_disk(events):
    for _, _, (after, _) in history(events):
        assert msgspec.json.decode(msgspec.json.encode(after), type=Record) == after


class PowerCut(Exception):
    pass


class Device:
    """A loop as the laws ask for it: the record is stored, then the effects happen; the power may fail
    before or after each of these acts.
    """

    def __init__(self, stored: Record, acts: int | None) -> None:
        self.stored = stored
        self.serving: Fitted | None = None
        self.queue: list[Event] = []
        self._acts = acts

    def run(self, *events: Event) -> None:
        self.queue.extend(events)
        while self.queue:
            record, effects = step(self.stored, self.queue.pop(0))
            self._act()
            self.stored = record
            for effect in effects:
                self._act()
                self._perform(effect)
            self._act()
            self._frames()

    def _act(self) -> None:
        if self._acts == 0:
            raise PowerCut
        if self._acts is not None:
            self._acts -= 1

    def _perform(self, effect) -> None:
        match effect:
            case Fetch(of):
                self.queue.append(Fetched(of.manifest))
            case Try(of):
                self.queue.append(TrialPassed(of.manifest, 2))
            case Activate(of):
                self.serving = of
            case Rest():
                self.serving = None
            case _:
                pass

    def _frames(self) -> None:
        state = self.stored.state
        if isinstance(state, Probation) and self.serving == state.active and not self.queue:
            self.queue.append(Healthy(state.active.manifest))


ACTS = range(30)


def lives(*acts: int | None) -> Device:
    """A device that runs A and is told to run C, through as many power cuts as there are acts."""
    stored = Record(state=Idle(active=A))
    for number, until in enumerate(acts):
        device = Device(stored, until)
        try:
            device.run(Started(clean=number == 0), Wanted(C))
        except PowerCut:
            stored = device.stored
        else:
            break
    else:
        device = Device(stored, None)
        device.run(Started(clean=False), Wanted(C))
    return device


@pytest.mark.parametrize("first", ACTS)
def test_one_power_cut_anywhere_delays_an_update_and_no_more(first):
    device = lives(first)
    assert (device.stored.state, device.serving) == (Idle(active=C, fallback=A), C)


@given(st.lists(st.sampled_from(ACTS), max_size=6))
def test_any_number_of_power_cuts_ends_with_the_heir_or_with_what_ran_before(acts):
    device = lives(*acts)
    state = device.stored.state
    assert state in (Idle(active=C, fallback=A), Idle(active=A))
    assert device.serving == state.active
    if state.active == A:
        assert device.stored.last.reason in {Reason.CRASHED_IN_TRIAL, Reason.RESTARTED_IN_PROBATION}
        assert why_bad(device.stored, C) is Reason.KNOWN_BAD
