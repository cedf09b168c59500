from datetime import timedelta

import pytest
from msgspec.structs import replace

from agent.core.update.known_bad import Bad, condemn, revoke
from agent.core.update.lifecycle import Fetching, Fitted, Handover, Idle, Probation, Record, Trial
from agent.loops.telling.post import Post
from agent.loops.telling.reporter import KNOWN_BAD_TOLD, Identity, Reporter
from agent.wire import codec, topics
from agent.wire.documents import Delegate
from agent.wire.ipc import CameraTurned, Serving
from agent.wire.reasons import Reason
from agent.wire.reports import (
    RETOLD_SETTLED_S,
    RETOLD_UNDER_WAY_S,
    CameraReport,
    CameraState,
    Capabilities,
    Ended,
    Event,
    Evidence,
    Outcome,
    Phase,
    Progress,
    Report,
    Running,
)
from agent.wire.topics import DeviceId, Root, sha256
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink

ROOT, DEVICE = Root("shoal/home"), DeviceId("pi")
CAPABILITIES = Capabilities(hardware="cpu", machine="aarch64", agent="0.1.0")
MEBIBYTE = 1_048_576


def release(name):
    return Fitted(
        name=name,
        version="1",
        manifest=sha256(name.encode()),
        variant=sha256(name.encode() * 2),
        delegate=Delegate.CPU,
        files=(),
    )


A, B, C = release("a"), release("b"), release("c")
RUNS_A = Record(state=Idle(active=A))
FETCHES_B = Record(state=Fetching(active=A, fallback=None, candidate=B))
FETCHES_C = Record(state=Fetching(active=A, fallback=None, candidate=C))
TRIES_B = Record(state=Trial(active=A, fallback=None, candidate=B, tries=1))
PROBES_B = Record(state=Probation(active=B, fallback=A, need=3))


class Bench:
    def __init__(self):
        self.clock = FakeClock()
        self.broker = MemoryBroker()
        self.link = MemoryLink(self.broker)
        self.reporter = Reporter(
            Post(self.link), self.clock, Identity(ROOT, DEVICE, topics.MAIN, CAPABILITIES)
        )
        self.link.open(lambda _: None)

    def said(self, channel, kind):
        topic = ROOT.device(channel, DEVICE)
        return [codec.decode(o.payload, kind) for o in self.broker.published if o.topic == topic]

    @property
    def reports(self):
        """Without their numbers, which are `test_signet`'s."""
        return [replace(told, number=0) for told in self.said(topics.REPORT, Report)]

    @property
    def kept(self):
        return replace(
            codec.decode(self.broker.retained[ROOT.device(topics.REPORT, DEVICE)], Report), number=0
        )


@pytest.fixture
def bench():
    return Bench()


def running(of):
    return Running(name=of.name, version="1", manifest=of.manifest, digest=of.variant)


def report(bench, **changes):
    return replace(
        Report(
            device=DEVICE, at=bench.clock.now(), phase=Phase.IDLE, capabilities=CAPABILITIES, stream="main"
        ),
        **changes,
    )


def progress(of, done=0, total=0):
    return Progress(name=of.name, version="1", manifest=of.manifest, bytes_done=done, bytes_total=total)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (RUNS_A, {"phase": Phase.IDLE, "active": running(A)}),
        (FETCHES_B, {"phase": Phase.FETCHING, "active": running(A), "candidate": progress(B)}),
        (TRIES_B, {"phase": Phase.TRIAL, "active": running(A), "candidate": progress(B)}),
        (PROBES_B, {"phase": Phase.PROBATION, "active": running(B)}),
    ],
)
def test_every_state_is_told_once(bench, record, said):
    bench.reporter.follow(record)
    bench.reporter.follow(record)
    assert bench.reports == [report(bench, **said)]


@pytest.mark.parametrize(
    ("record", "reason", "phase"),
    [
        (RUNS_A, Reason.STALE_METADATA, Phase.HELD),
        (RUNS_A, Reason.LOW_DISK, Phase.HELD),
        (FETCHES_B, Reason.LOW_DISK, Phase.HELD),
        (FETCHES_B, Reason.KNOWN_BAD, Phase.FETCHING),
        (TRIES_B, Reason.STALE_METADATA, Phase.TRIAL),
        (PROBES_B, Reason.STALE_METADATA, Phase.PROBATION),
    ],
)
def test_a_hold_is_told_with_its_reason_and_names_the_phase_where_nothing_goes_on(
    bench, record, reason, phase
):
    bench.reporter.follow(record)
    told = bench.kept
    bench.reporter.hold(reason, "since noon")
    assert bench.kept == replace(told, phase=phase, reason=reason, detail="since noon")
    bench.reporter.release_hold()
    assert bench.kept == told


def test_other_words_for_the_same_hold_are_no_news(bench):
    for minute in range(100):
        bench.reporter.hold(Reason.STALE_METADATA, f"by a clock at 12:{minute}")
    assert [r.detail for r in bench.reports] == ["by a clock at 12:0"]
    bench.reporter.connected()
    assert bench.kept.detail == "by a clock at 12:99"


def test_a_hold_is_released_for_its_own_reason_only(bench):
    bench.reporter.hold(Reason.KNOWN_BAD, "c 1")
    bench.reporter.release_hold(Reason.LOW_DISK)
    assert bench.kept.reason is Reason.KNOWN_BAD
    bench.reporter.release_hold(Reason.KNOWN_BAD)
    assert bench.kept.reason is None


def test_a_download_of_50_mebibytes_takes_at_most_a_report_for_each(bench):
    bench.reporter.follow(FETCHES_B)
    total = 50 * MEBIBYTE
    for done in range(0, total + 1, 65_536):
        bench.clock.advance(1.0)
        bench.reporter.progress(done, total)
    assert len(bench.reports) <= 1 + 50
    assert bench.kept == report(
        bench, phase=Phase.FETCHING, active=running(A), candidate=progress(B, total, total)
    )
    bench.reporter.follow(TRIES_B)
    assert bench.kept.candidate == progress(B, total, total)


def test_the_progress_of_a_second_download_begins_at_nothing(bench):
    bench.reporter.follow(FETCHES_B)
    bench.reporter.progress(40 * MEBIBYTE, 50 * MEBIBYTE)
    bench.reporter.follow(FETCHES_C)
    assert bench.kept.candidate == progress(C)
    bench.reporter.progress(2 * MEBIBYTE, 50 * MEBIBYTE)
    assert bench.kept.candidate == progress(C, 2 * MEBIBYTE, 50 * MEBIBYTE)


def test_progress_of_a_download_that_was_given_up_is_not_told(bench):
    bench.reporter.follow(RUNS_A)
    bench.reporter.progress(MEBIBYTE, MEBIBYTE)
    assert [r.candidate for r in bench.reports] == [None]


SERVING = Serving(
    manifest=A.manifest,
    digest=A.variant,
    delegate="xnnpack",
    delegate_reason="the CPU variant",
    runtime="ai-edge-litert 2.1.5",
    load_ms=12.34,
    gap_ms=0.56,
)


def test_what_computes_the_active_release_is_told_as_far_as_it_is_known(bench):
    bench.reporter.follow(RUNS_A)
    assert bench.reporter.delegate(A.manifest) == ""
    bench.reporter.serving(SERVING)
    served = replace(
        running(A), delegate="xnnpack", delegate_reason="the CPU variant", runtime="ai-edge-litert 2.1.5"
    )
    assert bench.kept == report(bench, active=served)
    assert (bench.reporter.delegate(A.manifest), bench.reporter.delegate(B.manifest)) == ("xnnpack", "")
    fields = {
        "manifest": A.manifest,
        "digest": A.variant,
        "delegate": "xnnpack",
        "load_ms": 12.3,
        "gap_ms": 0.6,
    }
    assert bench.said(topics.EVENT, Event) == [
        Event(at=bench.clock.now(), name="model.serving", fields=fields, number=1)
    ]
    bench.reporter.follow(PROBES_B)
    assert bench.kept.active == running(B)


def test_what_was_new_while_the_link_was_down_is_told_when_it_is_back(bench):
    bench.reporter.follow(RUNS_A)
    bench.link.drop()
    bench.reporter.follow(FETCHES_B)
    bench.reporter.progress(3 * MEBIBYTE, 4 * MEBIBYTE)
    bench.reporter.follow(PROBES_B)
    bench.reporter.crashed(1, "killed by SIGSEGV")
    assert len(bench.reports) == 1
    bench.link.restore()
    bench.reporter.connected()
    assert bench.reports[1:] == [report(bench, phase=Phase.PROBATION, active=running(B), worker_restarts=1)]


def test_a_crash_is_told_at_its_own_instant(bench):
    bench.reporter.follow(RUNS_A)
    bench.clock.advance(60.0)
    bench.reporter.crashed(2, "exit status 1")
    assert bench.kept == report(bench, active=running(A), worker_restarts=2)
    assert bench.said(topics.EVENT, Event)[-1].fields == {"restarts": 2, "detail": "exit status 1"}


def test_how_an_update_ended_is_an_event_and_stays_in_the_report(bench):
    ended = Ended(
        name="b",
        version="1",
        manifest=B.manifest,
        outcome=Outcome.REFUSED,
        reason=Reason.TOO_SLOW,
        detail="9 ms",
    )
    bench.reporter.follow(replace(RUNS_A, last=ended, plan_serial=7))
    bench.reporter.announce(ended)
    assert bench.kept == report(bench, active=running(A), last=ended, plan_serial=7)
    fields = {"name": "b", "version": "1", "outcome": "refused", "reason": "too-slow", "detail": "9 ms"}
    assert bench.said(topics.EVENT, Event) == [
        Event(at=bench.clock.now(), name="update.ended", fields=fields, number=1)
    ]


def test_the_newest_failures_are_told_and_a_report_stays_within_its_bound(bench):
    """What the operator revoked stands in the plan."""
    known = ()
    failed = [sha256(f"bad {n}".encode()) for n in range(300)]
    for digest in failed:
        known = condemn(known, Reason.TOO_SLOW, manifest=digest, variant=digest)
    known = revoke(known, tuple(sha256(f"revoked {n}".encode()) for n in range(200)))
    assert Bad(failed[-1], Reason.TOO_SLOW) in known
    words = "é" * 100_000
    ended = Ended(
        name="b", version="1", manifest=B.manifest, outcome=Outcome.REFUSED, reason=Reason.LOAD_FAILED,
        detail=words,
    )  # fmt: skip
    bench.reporter.follow(replace(RUNS_A, known_bad=known, last=ended))
    bench.reporter.hold(Reason.UNTRUSTED, words)
    bench.reporter.announce(ended)
    bench.reporter.crashed(1, words)
    assert bench.kept.known_bad == dict.fromkeys(failed[-KNOWN_BAD_TOLD:], Reason.TOO_SLOW)
    assert max(len(o.payload) for o in bench.broker.published) < codec.MAX_BYTES[Report] / 4
    assert {event.name for event in bench.said(topics.EVENT, Event)} == {"update.ended", "worker.crashed"}


def test_reports_are_retained_and_events_are_not(bench):
    bench.reporter.connected()
    bench.reporter.event("camera.lost", {"detail": "unplugged"})
    assert [(o.topic, o.qos, o.retain) for o in bench.broker.published] == [
        (ROOT.device(channel, DEVICE), channel.qos, channel.retain)
        for channel in (topics.REPORT, topics.EVENT)
    ]


def test_a_report_carries_the_instant_at_which_it_became_true(bench):
    bench.reporter.follow(RUNS_A)
    before = bench.clock.now()
    bench.clock.advance(5.0)
    bench.reporter.follow(FETCHES_B)
    assert bench.kept.at - before == timedelta(seconds=5)


def camera(bench, *turns):
    for state, detail in turns:
        bench.clock.advance(2.0)
        bench.reporter.camera(CameraTurned(state=state, kind="v4l2", detail=detail))


def test_a_camera_is_told_when_it_goes_and_when_it_is_back_with_the_time_between(bench):
    camera(bench, (CameraState.OPENING, ""), (CameraState.LIVE, "not picamera2: it is not installed"))
    assert bench.kept.camera == CameraReport(
        state=CameraState.LIVE, kind="v4l2", detail="not picamera2: it is not installed"
    )
    assert bench.said(topics.EVENT, Event) == []
    camera(bench, (CameraState.LOST, "unplugged"), (CameraState.BUSY, "taken"), (CameraState.LIVE, ""))
    assert [(event.name, event.fields) for event in bench.said(topics.EVENT, Event)] == [
        ("camera.lost", {"kind": "v4l2", "detail": "unplugged"}),
        ("camera.busy", {"kind": "v4l2", "detail": "taken"}),
        ("camera.back", {"kind": "v4l2", "away_s": 4.0}),
    ]


def test_a_fresh_worker_after_a_hung_camera_is_no_news_until_frames_come(bench):
    camera(bench, (CameraState.OPENING, ""), (CameraState.LIVE, ""), (CameraState.FROZEN, "no answer"))
    reports = len(bench.reports)
    camera(bench, (CameraState.OPENING, ""), (CameraState.FROZEN, "no answer"), (CameraState.OPENING, ""))
    assert len(bench.reports) == reports
    assert bench.kept.camera.state is CameraState.FROZEN
    camera(bench, (CameraState.LIVE, ""))
    assert [event.name for event in bench.said(topics.EVENT, Event)] == ["camera.frozen", "camera.back"]
    assert bench.said(topics.EVENT, Event)[-1].fields["away_s"] == 8.0


def test_a_report_shows_what_the_release_has_shown_and_what_it_took_over_from(bench):
    shown = Evidence(manifest=B.manifest, digest=B.variant, frames=9)
    before = Evidence(manifest=A.manifest, digest=A.variant, frames=100)
    bench.reporter.show(lambda: shown)
    bench.reporter.follow(replace(PROBES_B, handover=Handover(manifest=B.manifest, before=before)))
    assert (bench.kept.serving, bench.kept.before) == (shown, before)
    bench.reporter.follow(replace(RUNS_A, handover=Handover(manifest=B.manifest, before=before)))
    assert bench.kept.before is None


@pytest.mark.parametrize(
    ("record", "silent_s"),
    [
        (RUNS_A, RETOLD_SETTLED_S),
        (FETCHES_B, RETOLD_UNDER_WAY_S),
        (TRIES_B, RETOLD_UNDER_WAY_S),
        (PROBES_B, RETOLD_UNDER_WAY_S),
    ],
)
def test_a_report_is_told_again_after_a_while_and_sooner_while_an_update_is_under_way(
    bench, record, silent_s
):
    bench.reporter.follow(record)
    told = len(bench.reports)
    for _ in range(int(silent_s / RETOLD_UNDER_WAY_S) - 1):
        bench.clock.advance(RETOLD_UNDER_WAY_S)
        bench.reporter.tell_again()
    assert len(bench.reports) == told
    bench.clock.advance(RETOLD_UNDER_WAY_S)
    bench.reporter.tell_again()
    assert len(bench.reports) == told + 1
    assert bench.kept.at == bench.clock.now()


def test_before_it_is_known_what_runs_nothing_is_told_again(bench):
    bench.clock.advance(RETOLD_SETTLED_S)
    bench.reporter.tell_again()
    assert bench.reports == []
