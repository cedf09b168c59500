"""What the service tells of frames and of windows."""

import asyncio
from contextlib import suppress

import pytest
from msgspec.structs import replace

from agent.core.telemetry.emission import EmissionMode, Rules
from agent.core.update.lifecycle import Healthy
from agent.loops.telling.meter import STAGES, Sources
from agent.loops.telling.monitor import Told
from agent.loops.telling.pacer import Limit
from agent.wire import topics
from agent.wire.ipc import CameraTurned
from agent.wire.reports import (
    CLASSES_OF_A_WINDOW,
    CameraState,
    Event,
    Prediction,
    Ranked,
    StageLatency,
    Telemetry,
    Vitals,
)
from tests.unit.loops.telling.service_bench import (
    PROBES_B,
    RUNS_A,
    A,
    B,
    Bench,
)


@pytest.fixture
def bench():
    return Bench()


def test_every_prediction_is_published_with_the_release_that_made_it(bench):
    bench.service.follow(PROBES_B)
    bench.predict(A, 5.0)
    bench.predict(B, 7.0)
    found = bench.said(topics.PREDICTION, Prediction)
    assert [(p.model, p.digest, p.latency_ms.invoke) for p in found] == [
        ("a", A.variant, 5.0),
        ("b", B.variant, 7.0),
    ]
    assert found[0] == Prediction(
        at=bench.clock.now(),
        sequence=1,
        model="a",
        version="1",
        digest=A.variant,
        delegate="",
        predictions=(Ranked(index=0, label="cat", score=0.9),),
        latency_ms=StageLatency(capture=1.0, pre=2.0, invoke=5.0, post=3.0, age=11.0),
    )


def test_a_prediction_of_a_release_that_was_taken_back_is_not_published(bench):
    bench.service.follow(RUNS_A)
    bench.predict(B, 5.0)
    assert bench.said(topics.PREDICTION, Prediction) == []


def test_a_camera_that_goes_and_comes_is_told_and_no_evidence(bench):
    bench.service.follow(PROBES_B)
    for state in (CameraState.OPENING, CameraState.LIVE):
        bench.service.observe(CameraTurned(state=state, kind="v4l2"))
    bench.service.observe(CameraTurned(state=CameraState.LOST, kind="v4l2", detail="unplugged"))
    bench.clock.advance(3.26)
    for state in (CameraState.OPENING, CameraState.LIVE):
        bench.service.observe(CameraTurned(state=state, kind="v4l2"))
    assert [(event.name, event.fields) for event in bench.said(topics.EVENT, Event)] == [
        ("camera.lost", {"kind": "v4l2", "detail": "unplugged"}),
        ("camera.back", {"kind": "v4l2", "away_s": 3.3}),
    ]
    assert bench.fed == []


def test_telemetry_counts_one_window(bench):
    bench.service.follow(RUNS_A)
    bench.predict(A, 5.0, frames=10, dropped=4)
    bench.predict(A, 7.0, frames=12, dropped=5)
    bench.fail(A, 1)
    bench.clock.advance(2.0)
    bench.service.tell()
    bench.clock.advance(1.0)
    bench.service.tell()
    first, second = bench.said(topics.TELEMETRY, Telemetry)
    assert (first.window_s, first.frames, first.frames_dropped) == (2.0, 12, 5)
    assert (first.predictions, first.errors, first.fps, first.digest) == (2, 1, 1.0, A.variant)
    assert first.rss_bytes == {"supervisor": 7, "worker": 9}
    assert {stage: h.count for stage, h in first.histogram_ms.items()} == dict.fromkeys(STAGES, 2)
    assert first.latency_ms["invoke"].p50 == pytest.approx(5.0, rel=0.02)
    assert (first.histogram_ms["invoke"].min, first.histogram_ms["invoke"].max) == (5.0, 7.0)
    assert (second.window_s, second.frames, second.predictions, second.errors) == (1.0, 0, 0, 0)
    assert second.fps == 0.0


def test_a_worker_that_starts_anew_counts_from_nothing(bench):
    bench.service.follow(RUNS_A)
    bench.predict(A, 5.0, frames=100, dropped=50)
    bench.service.crashed(1, "killed by SIGSEGV")
    bench.predict(A, 5.0, frames=3, dropped=1)
    bench.service.tell()
    (told,) = bench.said(topics.TELEMETRY, Telemetry)
    assert (told.frames, told.frames_dropped) == (103, 51)


def test_the_last_bit_of_a_window_is_told_too(bench):
    async def stopped():
        telling = asyncio.create_task(bench.service.run())
        await asyncio.sleep(0)
        bench.predict(A, 5.0)
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling

    asyncio.run(stopped())
    assert [t.predictions for t in bench.said(topics.TELEMETRY, Telemetry)] == [1]


def test_an_empty_window_has_no_rate(bench):
    bench.service.tell()
    (told,) = bench.said(topics.TELEMETRY, Telemetry)
    assert (told.window_s, told.fps, told.digest) == (0.0, 0.0, None)


class Quiet(Bench):
    """Publishes changes only, and nothing below one half."""

    rules = Rules(mode=EmissionMode.CHANGE, floor=0.5, hysteresis=0.1)


def test_whatever_is_published_telemetry_and_evidence_count_every_frame():
    bench = Quiet()
    bench.service.follow(PROBES_B)
    bench.predict(B, *[5.0] * 8, constant=True)
    assert len(bench.said(topics.PREDICTION, Prediction)) == 1
    assert bench.fed == [Healthy(B.manifest)] * 2
    bench.service.tell()
    (told,) = bench.said(topics.TELEMETRY, Telemetry)
    assert (told.predictions, told.published, told.frames) == (8, 1, 8)
    assert {stage: h.count for stage, h in told.histogram_ms.items()} == dict.fromkeys(STAGES, 8) | {
        "publish": 1
    }
    assert bench.service.predictions == 8


def test_another_release_is_seen_at_once_though_its_label_is_the_same():
    bench = Quiet()
    bench.service.follow(PROBES_B)
    bench.predict(A, 5.0, 5.0, constant=True)
    bench.predict(B, 5.0, 5.0, constant=True)
    assert [p.model for p in bench.said(topics.PREDICTION, Prediction)] == ["a", "b"]


def test_a_window_tells_what_its_sources_say():
    throttled = Told(Vitals(soc_c=81.0), throttled=True)
    sources = Sources(
        rss=dict,
        close_vitals=lambda: throttled,
        limit=lambda: Limit(7.5, "hot"),
        restarts=lambda: {"hung": 2},
    )
    bench = Bench(sources)
    bench.service.tell()
    (told,) = bench.said(topics.TELEMETRY, Telemetry)
    assert (told.throttled, told.fps_max, told.fps_max_reason) == (True, 7.5, "hot")
    assert (told.restarts, told.vitals) == ({"hung": 2}, throttled.vitals)


def test_a_window_says_what_was_seen_how_surely_and_of_which_release(bench):
    bench.service.follow(RUNS_A)
    bench.predict(A, *[10.0] * 5)
    bench.service.tell()
    [told] = bench.said(topics.TELEMETRY, Telemetry)
    assert (told.model, told.version, told.hardware) == ("a", "1", "cpu")
    assert told.classes == {"cat": 3, "dog": 2}
    assert (told.confidence[18], sum(told.confidence)) == (5, 5)


def test_a_window_counts_few_labels_by_name_and_loses_none(bench):
    bench.service.follow(RUNS_A)
    for n in range(100):
        seen = bench.predicted(A, 1.0, "cat", n + 1, 0)
        best = Ranked(index=n, label=f"label {n % 40}", score=0.5)
        bench.service.observe(replace(seen, predictions=(best,)))
    bench.service.tell()
    [told] = bench.said(topics.TELEMETRY, Telemetry)
    assert len(told.classes) == CLASSES_OF_A_WINDOW + 1
    assert sum(told.classes.values()) == 100


def test_no_window_is_of_two_releases(bench):
    bench.service.follow(RUNS_A)
    bench.predict(A, *[10.0] * 3)
    bench.service.follow(PROBES_B)
    bench.predict(B, *[20.0] * 2)
    bench.service.tell()
    told = bench.said(topics.TELEMETRY, Telemetry)
    assert [(each.model, each.predictions) for each in told] == [("a", 3), ("b", 2)]


def test_a_release_that_takes_over_from_nothing_ends_no_window(bench):
    bench.service.follow(RUNS_A)
    assert bench.said(topics.TELEMETRY, Telemetry) == []
