from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from agent.core.page.inbox import FRAMES_WAIT, OTHERS_WAIT, Inbox
from agent.core.page.past import with_newest
from agent.core.page.words import ENDED_KEPT, Broker, Happened, Past, Seen, Told, Turned
from agent.wire.reports import Ended, Event, Outcome, Phase, Report, StageLatency
from agent.wire.topics import DeviceId, Digest

AT = datetime(2026, 1, 1, tzinfo=UTC)


def frame(sequence: int) -> Seen:
    latency = StageLatency(capture=0, pre=0, invoke=0, post=0, age=0)
    return Seen(
        pipeline="main", at=AT, sequence=sequence, model="m", version="1", delegate="cpu", predictions=(),
        latency_ms=latency,
    )  # fmt: skip


def told(pipeline: str, number: int) -> Told:
    report = Report(device=DeviceId("d"), at=AT, phase=Phase.IDLE, pipeline=pipeline, number=number)
    return Told(report=report)


def event(number: int) -> Happened:
    return Happened(pipeline="main", event=Event(at=AT, name="e", number=number))


HAPPENINGS = st.one_of(
    st.builds(frame, st.integers(0, 9999)),
    st.builds(told, st.sampled_from(["main", "door"]), st.integers(0, 9999)),
    st.builds(event, st.integers(0, 9999)),
    st.builds(lambda up: Turned(broker=Broker(up=up)), st.booleans()),
)


@given(st.lists(HAPPENINGS, max_size=400))
def test_a_slow_listener_never_grows_and_always_learns_how_things_stand(happenings):
    inbox = Inbox()
    for happening in happenings:
        inbox.put(happening)
    taken = inbox.take()

    def last(kind, of=lambda _: True):
        return [h for h in happenings if isinstance(h, kind) and of(h)][-1:]

    assert len(taken) <= FRAMES_WAIT + OTHERS_WAIT + 2 + 1
    assert [h for h in taken if isinstance(h, Turned)] == last(Turned)
    for name in ("main", "door"):
        mine = [h for h in taken if isinstance(h, Told) and h.report.pipeline == name]
        assert mine == last(Told, lambda h, name=name: h.report.pipeline == name)
    frames = [h for h in happenings if isinstance(h, Seen)]
    assert [h for h in taken if isinstance(h, Seen)] == frames[-FRAMES_WAIT:]
    assert inbox.take() == ()


def test_the_end_of_an_update_that_is_told_again_stands_there_once_and_the_oldest_are_forgotten():
    past: tuple[Past, ...] = ()
    for number in range(ENDED_KEPT + 5):
        ended = Ended(name="m", version=str(number), manifest=Digest("0" * 64), outcome=Outcome.COMMITTED)
        for _ in range(2):
            past = with_newest(past, Past(at=AT, ended=ended))
    assert [each.ended.version for each in past] == [str(n) for n in range(ENDED_KEPT + 4, 4, -1)]
