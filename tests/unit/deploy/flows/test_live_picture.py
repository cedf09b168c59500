from datetime import UTC, datetime

import pytest

from agent.wire.reports import Presence
from agent.wire.topics import DeviceId, Root, shard
from deploy.core.rollouts.believing import Believer
from deploy.flows.devices import Patience
from deploy.flows.live_picture import LivePicture
from tests.fakes.link import MemoryBroker, MemoryLink
from tests.fakes.puppets import Puppets

ROOT = Root("shoal/test")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HASTY = Patience(quiet_s=0.0, settle_s=0.0, wait_s=0.02)
CROWD = [DeviceId(f"pi-{number}") for number in range(300)]


def opened(broker):
    link = MemoryLink(broker)
    link.open(lambda _: None)
    return link


@pytest.fixture
def broker():
    broker = MemoryBroker()
    broker.publish(ROOT.index(), b"{}", retain=True)
    return broker


@pytest.fixture
def puppets(broker):
    return Puppets(opened(broker), ROOT, NOON)


def live(broker, **believed):
    return LivePicture(opened(broker), ROOT, Believer(ROOT, {}.get, **believed), lambda: NOON, HASTY)


def test_before_the_first_reading_the_picture_is_not_complete(broker):
    picture = live(broker).picture()
    assert picture.missing == ("the fleet was not read yet",)


def test_every_device_is_there_however_short_the_brokers_queue_for_one_question(broker, puppets):
    puppets.appear(CROWD)
    broker.queue_max = 60
    following = live(broker)
    following.read()
    picture = following.picture()
    assert [seen.id for seen in picture.devices] == sorted(CROWD)
    assert picture.missing == ()


def test_a_shard_that_does_not_come_to_its_end_is_named_and_read_again(broker, puppets):
    puppets.appear(CROWD)
    place = shard(CROWD[0])
    broker.queue_max = 5
    following = live(broker)
    following.read()
    assert any(
        missing.startswith(f"shard {place}: the broker did not") for missing in following.picture().missing
    )
    assert not following.complete
    broker.queue_max = None
    following.read()
    assert following.complete
    assert len(following.picture().devices) == len(CROWD)


def test_news_is_followed_without_another_question(broker, puppets):
    puppets.appear(CROWD[:3])
    following = live(broker)
    following.read()
    following.wait(0.0)
    asked = broker.subscribed.total()
    puppets.says(CROWD[0], Presence.OFFLINE)
    assert following.wait(1.0)
    assert not following.wait(0.0), "it is told once"
    gone = {seen.id for seen in following.picture().devices if not seen.online}
    assert gone == {CROWD[0]}
    assert broker.subscribed.total() == asked


def test_marks_are_handed_over_once(broker, puppets):
    puppets.appear(CROWD[:2])
    following = live(broker)
    following.read()
    assert following.moved() == {CROWD[0]: (1, 1), CROWD[1]: (1, 2)}
    assert following.moved() == {}
