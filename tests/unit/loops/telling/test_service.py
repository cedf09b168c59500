import asyncio
from contextlib import suppress

import pytest
from msgspec.structs import replace

from agent.core.telemetry.emission import EmissionMode, Rules
from agent.core.telemetry.vitals import Gauges
from agent.core.update import lifecycle
from agent.core.update.lifecycle import Fetching, Fitted, Handover, Healthy, Idle, Probation, Record, Sick
from agent.loops.telling.meter import STAGES, Sources
from agent.loops.telling.monitor import Told
from agent.loops.telling.pacer import Limit
from agent.loops.telling.post import Post
from agent.loops.telling.reporter import Identity, Reporter
from agent.loops.telling.service import Service
from agent.wire import codec, topics
from agent.wire.documents import Delegate, ProbationPolicy
from agent.wire.ipc import CameraTurned, InvokeFailed, Predicted
from agent.wire.reasons import Reason
from agent.wire.reports import (
    CLASSES_OF_A_WINDOW,
    CameraState,
    Capabilities,
    Event,
    Prediction,
    Ranked,
    Report,
    StageLatency,
    Telemetry,
    Vitals,
)
from agent.wire.topics import DeviceId, Root, sha256
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink

ROOT, DEVICE = Root("shoal/home"), DeviceId("pi")
POLICY = ProbationPolicy(window_frames=4, latency_ratio_max=2.0, error_share_max=0.25)


def release(name):
    return Fitted(
        name=name,
        version="1",
        manifest=sha256(name.encode()),
        variant=sha256(name.encode() * 2),
        delegate=Delegate.CPU,
        files=(),
    )


A, B = release("a"), release("b")


def record(state):
    return Record(state=state, probation=POLICY)


RUNS_A = record(Idle(active=A))
FETCHES_B = record(Fetching(active=A, fallback=None, candidate=B))
PROBES_B = record(Probation(active=B, fallback=A, need=3))
RUNS_B = record(Idle(active=B, fallback=A))


class Bench:
    rules = Rules()

    def __init__(self, sources=None):
        self.clock = FakeClock()
        self.broker = MemoryBroker()
        link = MemoryLink(self.broker)
        link.open(lambda _: None)
        reporter = Reporter(Post(link), self.clock, Identity(ROOT, DEVICE, topics.MAIN, Capabilities()))
        sources = sources or Sources(rss=lambda: {"supervisor": 7, "worker": 9})
        self.service = Service(reporter, self.clock, sources, 10.0, self.rules)
        self.fed = []
        self.service.bind(self.fed.append)
        self.sequence = 0

    def said(self, channel, kind):
        topic = ROOT.device(channel, DEVICE)
        return [codec.decode(o.payload, kind) for o in self.broker.published if o.topic == topic]

    def predict(self, of, *invoke_ms, constant=False, frames=None, dropped=0):
        for one in invoke_ms:
            self.sequence += 1
            label = "cat" if constant or self.sequence % 2 else "dog"
            self.service.observe(self.predicted(of, one, label, frames or self.sequence, dropped))

    def predicted(self, of, invoke_ms, label, frames, dropped):
        return Predicted(
            manifest=of.manifest,
            sequence=self.sequence,
            frame="",
            captured_at=self.clock.now(),
            predictions=(Ranked(index=("cat", "dog").index(label), label=label, score=0.9),),
            latency_ms=StageLatency(capture=1.0, pre=2.0, invoke=invoke_ms, post=3.0, age=invoke_ms + 6.0),
            frames=frames,
            frames_dropped=dropped,
        )

    def fail(self, of, times):
        for _ in range(times):
            self.service.observe(InvokeFailed(manifest=of.manifest, sequence=0, detail="no"))


@pytest.fixture
def bench():
    return Bench()


def reasons(bench):
    return [event.reason if isinstance(event, Sick) else "healthy" for event in bench.fed]


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
