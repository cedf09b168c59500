from datetime import UTC, datetime

import pytest

from agent.core.update.probation import HEALTHY, UNDECIDED, Baseline, Sick, Window, baseline, observe, verdict
from agent.wire.documents import ProbationPolicy
from agent.wire.ipc import InvokeFailed, Predicted
from agent.wire.reasons import Reason
from agent.wire.reports import Ranked, StageLatency
from agent.wire.topics import sha256

MANIFEST = sha256(b"manifest")
POLICY = ProbationPolicy(window_frames=10, latency_ratio_max=2.0, error_share_max=0.1)
SEVERAL = Baseline(invoke_p95_ms=10.0, labels=3)


def predicted(label: str, score: float, invoke_ms: float = 10.0) -> Predicted:
    return Predicted(
        manifest=MANIFEST,
        sequence=0,
        frame="",
        captured_at=datetime(2026, 1, 1, tzinfo=UTC),
        predictions=(Ranked(index=len(label), label=label, score=score),),
        latency_ms=StageLatency(capture=1.0, pre=1.0, invoke=invoke_ms, post=1.0, age=15.0),
        frames=1,
        frames_dropped=0,
    )


FAILURE = InvokeFailed(manifest=MANIFEST, sequence=0, detail="invoke failed")


def window(*seen: Predicted | InvokeFailed) -> Window:
    gathered = Window()
    for one in seen:
        gathered = observe(gathered, one)
    return gathered


def lively(frames: int, invoke_ms: float = 10.0) -> list[Predicted]:
    """What a sound model says: other scores on every frame."""
    return [predicted("cat", 0.5 + frame / 100, invoke_ms) for frame in range(frames)]


CONSTANT = [predicted("cat", 0.9)] * 10


@pytest.mark.parametrize(
    ("seen", "before", "says"),
    [
        ([], SEVERAL, UNDECIDED),
        (lively(9), SEVERAL, UNDECIDED),
        ([FAILURE] * 9, SEVERAL, UNDECIDED),
        (lively(10), SEVERAL, HEALTHY),
        (lively(10), None, HEALTHY),
        ([*lively(9), FAILURE], SEVERAL, HEALTHY),  # one in ten is allowed, and counts as a frame
        (
            [*lively(8), FAILURE, FAILURE],
            None,
            Sick(Reason.INVOKE_ERRORS, "2 of 10 frames failed (0.200), at most 0.100 is allowed"),
        ),
        (
            [FAILURE] * 10,
            SEVERAL,
            Sick(Reason.INVOKE_ERRORS, "10 of 10 frames failed (1.000), at most 0.100 is allowed"),
        ),
        (lively(10, 20.0), SEVERAL, HEALTHY),
        (
            lively(10, 20.5),
            SEVERAL,
            Sick(
                Reason.SLOWED_DOWN,
                "p95 of invoke is 20.5 ms where the model before needed 10.0 ms: "
                "2.05 times, at most 2.00 is allowed",
            ),
        ),
        (lively(10, 500.0), None, HEALTHY),  # nothing to compare with
        (lively(10, 500.0), Baseline(invoke_p95_ms=0.0, labels=3), HEALTHY),
        (
            CONSTANT,
            SEVERAL,
            Sick(
                Reason.CONSTANT_OUTPUT,
                "'cat' 0.9000 on all of 10 frames, the model before named 3 labels",
            ),
        ),
        (CONSTANT, Baseline(invoke_p95_ms=10.0, labels=1), HEALTHY),  # nothing else to see here
        (CONSTANT, None, HEALTHY),
        ([*CONSTANT[:9], predicted("cat", 0.91)], SEVERAL, HEALTHY),
        ([*CONSTANT[:9], predicted("bird", 0.9)], SEVERAL, HEALTHY),
    ],
)
def test_a_window_is_judged_on_its_evidence(seen, before, says):
    assert verdict(window(*seen), before, POLICY) == says


def test_errors_are_told_before_slowness_and_slowness_before_a_constant_answer():
    slow = [predicted("cat", 0.9, 99.0)] * 8
    assert verdict(window(*slow, FAILURE, FAILURE), SEVERAL, POLICY).reason is Reason.INVOKE_ERRORS
    assert verdict(window(*slow, *slow), SEVERAL, POLICY).reason is Reason.SLOWED_DOWN


def test_one_prediction_is_not_yet_a_constant_answer():
    policy = ProbationPolicy(window_frames=1)
    assert verdict(window(predicted("cat", 0.9)), SEVERAL, policy) == HEALTHY


def test_the_model_that_runs_becomes_the_measure_for_the_next():
    seen = [
        predicted("cat", 0.9, 5.0),
        predicted("Dog ", 0.8, 7.0),
        predicted("dog, hound", 0.7, 6.0),
        FAILURE,
    ]
    assert baseline(window(*seen)) == Baseline(invoke_p95_ms=7.0, labels=2)


@pytest.mark.parametrize("seen", [[], [FAILURE, FAILURE]])
def test_a_model_that_predicted_nothing_is_no_measure(seen):
    assert baseline(window(*seen)) is None


def test_observing_leaves_the_window_before_as_it_was():
    before = window(predicted("cat", 0.9))
    observe(before, predicted("dog", 0.8))
    assert before == window(predicted("cat", 0.9))
