import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from agent.adapters.link_none import NoLink
from agent.core.page.words import EVENTS_KEPT, FRAMES_KEPT, WINDOWS_KEPT, Broker, Past, Seen, Told, Turned
from agent.core.update.lifecycle import Fitted, Idle, Record
from agent.loops.telling import pictures
from agent.loops.telling.chronicle import Chronicle
from agent.loops.telling.onlookers import About, Onlookers
from agent.loops.telling.pictures import Pictures
from agent.loops.telling.post import Post
from agent.loops.telling.reporter import Identity, Reporter
from agent.loops.telling.upstream import Upstream
from agent.ports.link import Down, Up
from agent.ports.onlooker import Onlooker
from agent.wire import topics
from agent.wire.documents import Delegate
from agent.wire.errors import CameraFailed, StoreFailed, Unavailable
from agent.wire.ipc import Predicted, Serving, SnapFailed, Snapped
from agent.wire.reports import Capabilities, Ended, Outcome, Ranked, Report, StageLatency, Telemetry
from agent.wire.topics import DeviceId, Digest
from tests.fakes.children import ScriptedWorker
from tests.fakes.clock import FakeClock

AT = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DIGEST = Digest("a" * 64)
RELEASE = Fitted(
    name="m", version="1", manifest=DIGEST, variant=DIGEST, delegate=Delegate.CPU, files=(DIGEST,)
)
LATENCY = StageLatency(capture=0, pre=1, invoke=5, post=0, age=6)


def predicted(sequence: int) -> Predicted:
    ranked = (Ranked(index=1, label="hen", score=0.9),)
    return Predicted(
        manifest=DIGEST, sequence=sequence, frame="", captured_at=AT, predictions=ranked, latency_ms=LATENCY,
        frames=sequence, frames_dropped=0,
    )  # fmt: skip


def snapped(sequence: int) -> Snapped:
    return Snapped(jpeg=b"\xff\xd8", height_px=2, width_px=2, sequence=sequence, captured_at=AT)


def worker_that_serves() -> ScriptedWorker:
    serving = Serving(
        manifest=DIGEST, digest=DIGEST, delegate="cpu", delegate_reason="", runtime="", load_ms=1, gap_ms=0
    )
    return ScriptedWorker(lambda _: serving)


class Line:
    """A pipeline as far as its page knows it, with a real reporter."""

    name = "main"
    offered = None
    past: tuple[Past, ...] = ()

    def __init__(self) -> None:
        identity = Identity(topics.root("shoal/t"), DeviceId("d"), "main", Capabilities())
        self.reporter = Reporter(Post(NoLink()), FakeClock(), identity)
        self.reporter.follow(Record(state=Idle(active=RELEASE)))
        self.worker = worker_that_serves()
        self.paused: list[bool] = []

    @property
    def report(self) -> Report:
        return self.reporter.report

    def watch(self, onlooker: Onlooker) -> Callable[[], None]:
        return self.reporter.watch(onlooker)

    def accept(self, version: str) -> None:
        raise Unavailable(version)

    def pause(self, *, paused: bool) -> None:
        self.paused.append(paused)


def device(line: Line, upstream: Upstream | None = None) -> Onlookers:
    return Onlookers(About(DeviceId("d"), "1", lambda: 10.0, upstream), (line,), FakeClock())


def test_what_was_is_kept_within_bounds_for_a_page_that_is_opened_later():
    line = Line()
    shown = device(line)
    for number in range(FRAMES_KEPT + 10):
        line.reporter.saw(predicted(number), RELEASE)
    for number in range(EVENTS_KEPT + 10):
        line.reporter.event("e", {"n": number})
    for number in range(WINDOWS_KEPT + 10):
        line.reporter.measured(_window(number))
    now = shown.now()
    pipeline = now.pipelines["main"]
    assert [frame.sequence for frame in pipeline.frames] == list(range(10, FRAMES_KEPT + 10))
    assert [window.frames for window in pipeline.telemetry] == list(range(10, WINDOWS_KEPT + 10))
    assert [each.event.fields["n"] for each in now.events] == list(range(EVENTS_KEPT + 9, 9, -1))
    assert (now.broker, pipeline.report.active.name) == (None, "m")
    assert pipeline.frames[-1].predictions[0].label == "hen"


def _window(frames: int) -> Telemetry:
    return Telemetry(
        at=AT, window_s=1, frames=frames, frames_dropped=0, predictions=0, errors=0, fps=0, rss_bytes={},
        digest=None, histogram_ms={}, latency_ms={},
    )  # fmt: skip


def test_a_listener_hears_what_happens_from_then_on_and_a_page_that_is_gone_hears_nothing():
    async def run() -> None:
        line, upstream = Line(), Upstream(FakeClock())
        shown = device(line, upstream)
        line.reporter.saw(predicted(1), RELEASE)
        with shown.listening() as happenings:
            line.reporter.saw(predicted(2), RELEASE)
            line.reporter.pause(paused=True)
            upstream.turned(Down("gone"))
            async with asyncio.timeout(5):
                batch = await anext(happenings)
            assert [each.sequence for each in batch if isinstance(each, Seen)] == [2]
            assert [each.report.paused for each in batch if isinstance(each, Told)] == [True]
            assert [each.broker.up for each in batch if isinstance(each, Turned)] == [False]
            for number in range(1000):
                line.reporter.saw(predicted(number), RELEASE)
            async with asyncio.timeout(5):
                batch = await anext(happenings)
            assert batch[-1].sequence == 999
            assert len(batch) < 100
        shown.close()
        assert (shown._inboxes, line.reporter._onlookers, upstream._watchers) == ({}, (), [])

    asyncio.run(run())


def test_nothing_is_put_into_words_and_no_picture_taken_while_nobody_looks():
    line = Line()
    shown = device(line)
    shown._lines["main"]._words = None  # type: ignore[assignment] - calling it would raise
    for number in range(100):
        line.reporter.saw(predicted(number), RELEASE)
    assert line.worker.snaps == []


def test_what_a_device_lacks_is_unavailable():
    shown = device(Line())
    with pytest.raises(Unavailable, match="no pipeline 'door'"):
        shown.pause("door", paused=True)
    with pytest.raises(Unavailable):
        asyncio.run(shown.accept("main", "2"))


def test_the_broker_that_went_is_away_since_then_however_often_that_is_said():
    clock = FakeClock()
    upstream, began = Upstream(clock), clock.now()
    assert upstream.broker == Broker(up=False)
    upstream.turned(Down("refused"))
    assert upstream.broker == Broker(up=False, reason="refused")
    upstream.turned(Up(1, "pi:1883"))
    assert upstream.broker == Broker(up=True, place="pi:1883", since=began)
    clock.advance(5)
    upstream.turned(Down("died"))
    clock.advance(5)
    upstream.turned(Down("refused"))
    assert upstream.broker.since is not None
    assert (upstream.broker.since - began).total_seconds() == 5
    assert upstream.broker.place == "pi:1883"


def test_all_who_wait_are_given_the_same_picture(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures, "QUIET_S", 0.05)

    async def run() -> None:
        worker = worker_that_serves()
        worker.snapped = snapped(7)
        taken = Pictures(worker)
        async with asyncio.timeout(5):
            found = await asyncio.gather(*(taken.after(6) for _ in range(20)))
            again = await taken.after(6)
        assert {id(each) for each in (*found, again)} == {id(worker.snapped)}
        assert len(worker.snaps) == 1

    asyncio.run(run())


def test_who_has_a_picture_waits_for_another_and_leaving_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(pictures, "QUIET_S", 0.05)

    async def run() -> None:
        worker = worker_that_serves()
        worker.snapped = snapped(7)
        taken = Pictures(worker)
        leaves, stays = asyncio.create_task(taken.after(7)), asyncio.create_task(taken.after(7))
        await asyncio.sleep(0.2)
        leaves.cancel()
        await asyncio.sleep(0)
        assert not stays.done()
        worker.snapped = snapped(8)
        taken.arrived()
        async with asyncio.timeout(5):
            assert (await stays).sequence == 8

    asyncio.run(run())


def test_a_camera_without_a_frame_is_an_answer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures, "QUIET_S", 0.01)
    monkeypatch.setattr(pictures, "WAIT_S", 0.3)

    async def run() -> None:
        worker = worker_that_serves()
        worker.snapped = SnapFailed(detail="the camera has not given a frame yet")
        with pytest.raises(CameraFailed, match="has not given a frame yet"):
            await Pictures(worker).after(-1)
        worker.snapped = snapped(3)
        with pytest.raises(CameraFailed, match="no new frame"):
            await Pictures(worker).after(3)

    asyncio.run(run())


class Kept:
    def __init__(self, *, full: bool = False) -> None:
        self.past: tuple[Past, ...] = ()
        self.full, self.saved = full, 0

    def load(self) -> tuple[Past, ...]:
        return self.past

    def save(self, past: tuple[Past, ...]) -> None:
        self.saved += 1
        if self.full:
            raise StoreFailed("the disk is full")
        self.past = past


@pytest.mark.parametrize("full", [False, True])
def test_how_updates_end_is_on_disk_before_the_agent_is_gone(full: bool):
    ended = Ended(name="m", version="2", manifest=DIGEST, outcome=Outcome.COMMITTED)

    async def run() -> Kept:
        kept = Kept(full=full)
        chronicle = Chronicle(kept, FakeClock())
        running = asyncio.create_task(chronicle.run())
        await asyncio.sleep(0)
        chronicle.ended(ended)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert [past.ended for past in chronicle.past] == [ended]
        return kept

    kept = asyncio.run(run())
    assert kept.saved == 1
    assert [past.ended for past in kept.past] == ([] if full else [ended])
