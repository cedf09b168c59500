"""A device of which nothing says that it has gone, because its broker was killed."""

from datetime import UTC, datetime, timedelta

from agent.wire import codec, topics
from agent.wire.reports import Presence, Status
from agent.wire.topics import STATUS, DeviceId
from deploy.core.rollouts.believing import Believer
from deploy.core.rollouts.picture import BEATS_MISSED

ROOT = topics.root("shoal/test")
DEVICE = DeviceId("pi-1")
NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
BEAT_S = 60.0


def told(
    believer: Believer, at: datetime, *, said: datetime | None = None, state: Presence = Presence.ONLINE
):
    status = Status(state=state, session="s", at=said or at, beat_s=BEAT_S)
    return believer.take(ROOT.device(STATUS, DEVICE), codec.encode(status), at)


def seen(believer: Believer, at: datetime):
    return believer.picture(at).devices[0]


def after(beats: float) -> datetime:
    return NOON + timedelta(seconds=beats * BEAT_S)


def test_who_is_silent_for_three_beats_has_gone_when_it_was_last_heard():
    believer = Believer(ROOT, lambda _: None)
    assert told(believer, NOON)
    assert not told(believer, after(1))
    assert seen(believer, after(1 + BEATS_MISSED)).online
    gone = seen(believer, after(1.1 + BEATS_MISSED))
    assert (gone.online, gone.gone_at) == (False, after(1))


def test_it_is_news_when_it_is_heard_again():
    believer = Believer(ROOT, lambda _: None)
    told(believer, NOON)
    assert told(believer, after(9))
    assert seen(believer, after(9)).online


def test_a_word_that_lay_on_the_broker_counts_from_when_it_was_said():
    believer = Believer(ROOT, lambda _: None)
    told(believer, NOON, said=after(-9))
    assert not seen(believer, NOON).online


def test_the_same_word_read_again_is_no_sign_of_life():
    believer = Believer(ROOT, lambda _: None)
    told(believer, NOON)
    told(believer, after(9), said=NOON)
    assert not seen(believer, after(9)).online


def test_a_clock_that_is_wrong_makes_nobody_gone_for_longer_than_a_beat():
    believer = Believer(ROOT, lambda _: None)
    in_1970 = datetime(1970, 1, 1, tzinfo=UTC)
    told(believer, NOON, said=in_1970)
    assert not seen(believer, NOON).online
    assert told(believer, after(1), said=in_1970 + timedelta(seconds=BEAT_S))
    assert seen(believer, after(1)).online


def test_an_agent_that_knows_no_beats_is_believed_until_its_will():
    believer = Believer(ROOT, lambda _: None)
    topic = ROOT.device(STATUS, DEVICE)
    believer.take(topic, codec.encode(Status(state=Presence.ONLINE, session="s")), NOON)
    assert seen(believer, after(1000)).online
    assert told(believer, after(1001), state=Presence.OFFLINE)
    assert not seen(believer, after(1001)).online
