"""What the service holds for and against a release."""

import pytest

from agent.core.telemetry.vitals import Gauges
from agent.core.update import lifecycle
from agent.core.update.lifecycle import Handover, Healthy, Idle, Probation, Record, Sick
from agent.loops.telling.meter import Sources
from agent.wire import topics
from agent.wire.reasons import Reason
from agent.wire.reports import (
    Event,
    Report,
)
from tests.unit.loops.telling.service_bench import FETCHES_B, PROBES_B, RUNS_A, RUNS_B, A, B, Bench, record


@pytest.fixture
def bench():
    return Bench()


def reasons(bench):
    return [event.reason if isinstance(event, Sick) else "healthy" for event in bench.fed]


def test_a_full_window_is_one_piece_of_evidence(bench):
    bench.service.follow(PROBES_B)
    bench.predict(B, *[5.0] * 11)
    assert bench.fed == [Healthy(B.manifest)] * 2


def test_outside_probation_nothing_is_judged(bench):
    bench.service.follow(RUNS_A)
    bench.predict(A, *[5.0] * 20)
    bench.fail(A, 20)
    bench.service.crashed(1, "killed by SIGSEGV")
    assert bench.fed == []


def test_frames_of_the_release_before_are_no_evidence(bench):
    bench.service.follow(PROBES_B)
    bench.predict(A, *[5.0] * 20)
    assert bench.fed == []


@pytest.mark.parametrize(
    ("before_ms", "seen_ms", "constant", "found"),
    [
        ([5.0] * 4, [9.0] * 4, False, ["healthy"]),
        ([5.0] * 4, [11.0] * 4, False, [Reason.SLOWED_DOWN]),
        ([5.0] * 4, [5.0] * 4, True, [Reason.CONSTANT_OUTPUT]),
        ([5.0] * 4 + [500.0] * 3, [11.0] * 4, False, [Reason.SLOWED_DOWN]),
        ([5.0] * 3, [500.0] * 4, False, ["healthy"]),
        ([], [500.0] * 4, True, ["healthy"]),
    ],
)
def test_a_release_is_measured_against_the_last_full_window_before_it(
    bench, before_ms, seen_ms, constant, found
):
    bench.service.follow(RUNS_A)
    bench.predict(A, *before_ms)
    bench.service.follow(FETCHES_B)
    bench.service.follow(PROBES_B)
    bench.predict(B, *seen_ms, constant=constant)
    assert reasons(bench) == found


def test_what_a_reverted_release_showed_is_no_measure_for_the_next(bench):
    """Its slow frames would let the next slow release pass."""
    bench.service.follow(PROBES_B)
    bench.predict(B, *[500.0] * 3)
    bench.service.crashed(1, "killed by SIGSEGV")
    bench.service.follow(RUNS_A)
    bench.predict(A, *[5.0] * 4)
    bench.service.follow(PROBES_B)
    bench.predict(B, *[50.0] * 4)
    assert reasons(bench) == [Reason.WORKER_CRASHED, Reason.SLOWED_DOWN]


def test_a_release_that_committed_is_the_measure_for_the_next(bench):
    bench.service.follow(PROBES_B)
    bench.predict(B, *[5.0] * 4)
    bench.service.follow(RUNS_B)
    bench.predict(B, *[5.0] * 4)
    bench.service.follow(record(Probation(active=A, fallback=B, need=1)))
    bench.predict(A, *[50.0] * 4)
    assert reasons(bench) == ["healthy", Reason.SLOWED_DOWN]


def test_errors_are_evidence(bench):
    bench.service.follow(PROBES_B)
    bench.fail(B, 1)
    bench.predict(B, *[5.0] * 3)
    assert reasons(bench) == ["healthy"]
    bench.fail(B, 2)
    bench.predict(B, *[5.0] * 2)
    assert reasons(bench) == ["healthy", Reason.INVOKE_ERRORS]


def test_a_crash_on_probation_is_laid_at_the_door_of_its_release_and_told(bench):
    bench.service.follow(PROBES_B)
    bench.service.crashed(2, "killed by SIGSEGV")
    assert bench.fed == [lifecycle.Sick(B.manifest, Reason.WORKER_CRASHED, "killed by SIGSEGV")]
    assert bench.said(topics.REPORT, Report)[-1].worker_restarts == 2
    assert [event.name for event in bench.said(topics.EVENT, Event)] == ["worker.crashed"]


def test_a_window_that_was_slow_while_the_soc_throttled_is_no_evidence_and_the_next_one_is():
    throttled = [False, True, False]
    bench = Bench(Sources(rss=dict, throttled=lambda: throttled.pop(0)))
    bench.service.follow(RUNS_A)
    bench.predict(A, *[5.0] * 4)
    bench.service.follow(PROBES_B)
    bench.predict(B, *[5.0] * 4)
    bench.predict(B, *[50.0] * 4)
    assert reasons(bench) == ["healthy"]
    bench.predict(B, *[50.0] * 4)
    assert reasons(bench) == ["healthy", Reason.SLOWED_DOWN]
    assert throttled == []


def test_heat_excuses_neither_errors_nor_a_constant_answer():
    bench = Bench(Sources(rss=dict, throttled=lambda: True))
    bench.service.follow(RUNS_A)
    bench.predict(A, *[5.0] * 4)
    bench.service.follow(PROBES_B)
    bench.fail(B, 2)
    bench.predict(B, *[5.0] * 2)
    bench.predict(B, *[5.0] * 4, constant=True)
    assert reasons(bench) == [Reason.INVOKE_ERRORS, Reason.CONSTANT_OUTPUT]


def test_evidence_is_gathered_from_the_activation_on_and_through_the_commitment(bench):
    bench.service.follow(RUNS_A)
    bench.predict(A, *[5.0] * 3)
    bench.service.follow(PROBES_B)
    bench.predict(A, 5.0)
    bench.predict(B, *[7.0] * 5)
    bench.fail(B, 2)
    bench.service.crashed(1, "killed by SIGSEGV")
    bench.service.crashed(2, "the camera hangs", blamed=False)
    bench.service.follow(RUNS_B)
    bench.predict(B, 7.0)
    shown = bench.service.evidence()
    assert (shown.manifest, shown.frames, shown.errors, shown.restarts) == (B.manifest, 8, 2, 1)
    assert shown.invoke_ms.count == 6


def test_what_stands_in_for_a_model_is_no_evidence_of_it(bench):
    bench.service.follow(RUNS_A)
    bench.service.suspend()
    bench.predict(A, *[50.0] * 3)
    bench.service.resume()
    bench.predict(A, 5.0)
    assert bench.service.evidence().frames == 1


def test_evidence_knows_how_hot_it_was_and_leaves_throttled_frames_out_of_the_latencies():
    throttled = iter([False, True, False])
    bench = Bench(Sources(rss=dict, throttled_lately=lambda: next(throttled)))
    bench.service.follow(RUNS_A)
    for invoke_ms, soc_c in [(5.0, 60.0), (90.0, 84.0), (6.0, 70.0)]:
        bench.predict(A, invoke_ms)
        bench.service.look(Gauges(soc_c=soc_c))
    shown = bench.service.evidence()
    assert (shown.frames, shown.invoke_ms.count, shown.soc_c_max, shown.throttled) == (3, 2, 84.0, True)
    assert shown.invoke_ms.max == 6.0


def test_evidence_bears_what_the_trial_of_this_release_has_shown(bench):
    proven = Handover(manifest=B.manifest, shadow_frames=20, agreed_frames=18)
    bench.service.follow(Record(state=Probation(active=B, fallback=A, need=3), handover=proven))
    assert (bench.service.evidence().shadow_frames, bench.service.evidence().agreed_frames) == (20, 18)
    bench.service.follow(Record(state=Idle(active=A), handover=proven))
    assert bench.service.evidence().shadow_frames == 0


def test_where_nothing_serves_there_is_no_evidence(bench):
    bench.service.follow(record(Idle()))
    assert bench.service.evidence() is None
