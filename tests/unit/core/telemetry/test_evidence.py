from datetime import UTC, datetime

import msgspec
import pytest

from agent.core.telemetry.answers import LABELS_MAX
from agent.core.telemetry.evidence import WAITING_MAX, Gathering
from agent.wire import codec
from agent.wire.ipc import Predicted
from agent.wire.reports import BINS, CLASSES_TOLD, Phase, Ranked, Report, StageLatency
from agent.wire.topics import DeviceId, sha256

MANIFEST, VARIANT = sha256(b"manifest"), sha256(b"variant")
AT = datetime(2026, 6, 1, tzinfo=UTC)


def seen(label="cat", score=0.9, invoke_ms=5.0):
    return Predicted(
        manifest=MANIFEST,
        sequence=0,
        frame="",
        captured_at=AT,
        predictions=(Ranked(index=0, label=label, score=score),),
        latency_ms=StageLatency(capture=1.0, pre=2.0, invoke=invoke_ms, post=3.0, age=9.0),
        frames=0,
        frames_dropped=0,
    )


@pytest.fixture
def gathering():
    return Gathering(MANIFEST, VARIANT)


def test_nothing_seen_is_nothing_shown(gathering):
    shown = gathering.to_document()
    assert (shown.manifest, shown.digest) == (MANIFEST, VARIANT)
    assert (shown.frames, shown.invoke_ms, shown.confidence, shown.classes) == (0, None, (), {})


def test_labels_scores_and_latencies_are_counted(gathering):
    for label, score in [("cat", 0.97), ("cat", 1.0), ("dog", 0.52), ("dog", 0.0)]:
        gathering.predicted(seen(label, score))
    gathering.failed()
    shown = gathering.to_document()
    assert (shown.frames, shown.errors, shown.invoke_ms.count) == (5, 1, 4)
    assert shown.classes == {"cat": 2, "dog": 2}
    assert (len(shown.confidence), shown.confidence[0], shown.confidence[10]) == (BINS, 1, 1)
    assert shown.confidence[-1] == 2


def test_scores_that_are_no_probabilities_are_not_told_as_such(gathering):
    gathering.predicted(seen(score=0.5))
    gathering.predicted(seen(score=7.5))
    assert gathering.to_document().confidence == ()


def test_a_frame_on_which_nothing_was_ranked_counts_all_the_same(gathering):
    gathering.predicted(msgspec.structs.replace(seen(), predictions=()))
    assert gathering.to_document().frames == 1


def test_the_most_frequent_labels_are_told_and_the_rest_together(gathering):
    for n in range(CLASSES_TOLD + 10):
        for _ in range(n + 1):
            gathering.predicted(seen(f"label {n}"))
    told = gathering.to_document().classes
    assert len(told) == CLASSES_TOLD + 1
    assert told[""] == sum(range(1, 11))
    assert sum(told.values()) == gathering.to_document().frames


def test_its_memory_and_its_report_stay_bounded_whatever_the_model_says(gathering):
    for n in range(LABELS_MAX + 5_000):
        gathering.predicted(seen(f"{n} " + "x" * 16_000, invoke_ms=1.5 ** (n % 60)))
    assert len(gathering._answers._classes) == LABELS_MAX + 1
    assert len(gathering._waiting) < WAITING_MAX
    shown = gathering.to_document()
    report = Report(device=DeviceId("pi"), at=AT, phase=Phase.IDLE, serving=shown, before=shown)
    assert len(codec.encode(report)) < codec.MAX_BYTES[Report] / 2


def test_durations_wait_for_the_sensors_and_those_of_a_throttled_time_are_left_out(gathering):
    gathering.predicted(seen(invoke_ms=5.0))
    gathering.look(61.0, throttled=False)
    gathering.predicted(seen(invoke_ms=50.0))
    gathering.look(85.0, throttled=True)
    gathering.predicted(seen(invoke_ms=6.0))
    gathering.look(None, throttled=False)
    shown = gathering.to_document()
    assert (shown.frames, shown.invoke_ms.count, shown.invoke_ms.max) == (3, 2, 6.0)
    assert (shown.soc_c_max, shown.throttled) == (85.0, True)
