import threading
from datetime import UTC, datetime

import pytest

from agent.ports.link import Outgoing
from agent.wire import codec, topics
from agent.wire.documents import Index
from agent.wire.reports import Phase, Presence, Report, Status
from agent.wire.topics import REPORT, SHARDS, STATUS, DeviceId
from deploy.core.devices.fleet import Device, fold
from deploy.flows.devices import Fleet, Patience, read_fleet, read_one, sweep
from tests.fakes.link import MemoryBroker, MemoryLink

ROOT = topics.root("shoal/home")
HASTY = Patience(quiet_s=0.0, settle_s=0.0, wait_s=0.2)
STATUS_ON = Status(state=Presence.ONLINE, session="s")


@pytest.fixture
def broker():
    made = MemoryBroker()
    made.publish(ROOT.index(), codec.encode(Index(root=1, timestamp=1)), retain=True)
    return made


def link_to(broker):
    link = MemoryLink(broker)
    link.open(lambda _: None)
    return link


def devices_of(read):
    return fold(ROOT, read.messages)


def report(device):
    return Report(device=device, at=datetime(2026, 6, 1, tzinfo=UTC), phase=Phase.IDLE)


def settle(broker, device):
    broker.publish(ROOT.device(STATUS, device), codec.encode(STATUS_ON), retain=True)
    broker.publish(ROOT.device(REPORT, device), codec.encode(report(device)), retain=True)


def test_every_device_of_every_shard_is_read(broker):
    ids = sorted(DeviceId(f"cam-{number}") for number in range(120))
    assert {topics.shard(device) for device in ids} == set(SHARDS)
    for device in ids:
        settle(broker, device)
    found = read_fleet(link_to(broker), ROOT, HASTY)
    assert devices_of(found) == tuple(Device(device, STATUS_ON, report(device)) for device in ids)
    assert found.incomplete == ()


def test_a_small_fleet_is_read_in_a_few_questions_and_let_go(broker):
    link, questions = link_to(broker), []
    settle(broker, DeviceId("a"))
    read_fleet(_Spy(link, questions.append), ROOT, HASTY)
    assert link.filters == ()
    assert len(questions) <= 5
    assert {f for f in broker.subscribed if "+" in f} == {
        ROOT.shard_filter(channel, shard) for shard in SHARDS for channel in (STATUS, REPORT)
    }


@pytest.mark.parametrize("devices", [1, 40, 300, 1_200])
def test_no_question_asks_for_more_than_a_default_broker_queues(broker, devices):
    broker.queue_max = 1_000
    for number in range(devices):
        settle(broker, DeviceId(f"cam-{number}"))
    lost = broker.delivered.copy()
    fleet = read_fleet(link_to(broker), ROOT, HASTY)
    assert (len(devices_of(fleet)), fleet.incomplete) == (devices, ())
    assert all(device.report and device.status for device in devices_of(fleet))
    assert max((broker.delivered - lost).values()) <= 40, "a question was asked again"


def test_a_question_that_did_not_fit_is_asked_again_shard_by_shard(broker):
    """The first shards say nothing of the others where somebody chose the ids."""
    crowd = [DeviceId(f"cam-{number}") for number in range(700)]
    for device in crowd:
        if topics.shard(device) != "0":
            settle(broker, device)
    broker.queue_max = 70
    fleet = read_fleet(link_to(broker), ROOT, HASTY)
    assert len(devices_of(fleet)) == sum(topics.shard(device) != "0" for device in crowd)
    assert fleet.incomplete == ()


def test_a_shard_that_is_longer_than_the_queue_is_called_incomplete(broker):
    for number in range(300):
        settle(broker, DeviceId(f"cam-{number}"))
    broker.queue_max = 18
    fleet = read_fleet(link_to(broker), ROOT, Patience(0.0, 0.0, 0.02))
    assert fleet.incomplete
    assert len(devices_of(fleet)) < 300


def test_what_was_swept_goes_on_arriving(broker):
    link, heard = link_to(broker), []
    settle(broker, DeviceId("a"))
    swept = sweep(link, ROOT, heard.append, HASTY)
    settle(broker, DeviceId("b"))
    assert len(heard) == 4
    link.unsubscribe(swept.filters)
    assert link.filters == ()


def test_a_fleet_on_which_nothing_was_published_is_empty_and_complete():
    assert read_fleet(link_to(MemoryBroker()), ROOT, HASTY) == Fleet((), ())


def test_shards_whose_sentinel_does_not_come_are_called_incomplete(broker):
    asked = []

    def lose_from_the_third(topics_asked):
        asked.append(topics_asked)
        if len(asked) == 3:
            broker.lose(ROOT.index())

    fleet = read_fleet(_Spy(link_to(broker), lose_from_the_third), ROOT, Patience(0.0, 0.0, 0.02))
    assert fleet == Fleet((), SHARDS)
    assert len(asked) < 8, "a broker that answers nothing is not asked for every shard"


def test_one_device_is_read_without_the_others(broker):
    link = link_to(broker)
    for name in ("a", "ab", "b"):
        settle(broker, DeviceId(name))
    broker.publish(ROOT.device(REPORT, DeviceId("a"), "door"), codec.encode(report("a")), retain=True)
    found = read_one(link, ROOT, DeviceId("a"), HASTY)
    assert [topic.partition("/a/")[2] for topic, _ in found] == ["status", "report", "report/door"]
    assert read_one(link, ROOT, DeviceId("nobody"), HASTY) == ()
    assert link.filters == ()


def test_foreign_and_cleared_messages_are_no_devices(broker):
    settle(broker, DeviceId("a"))
    broker.publish(ROOT.device(STATUS, DeviceId("b")), b"", retain=True)
    wrong = next(shard for shard in SHARDS if shard != topics.shard(DeviceId("c")))
    broker.publish(f"{ROOT.prefix}/device/{wrong}/c/status", codec.encode(STATUS_ON), retain=True)
    assert [device.id for device in devices_of(read_fleet(link_to(broker), ROOT, HASTY))] == ["a"]


def test_what_comes_after_the_sentinel_still_counts(broker):
    device = DeviceId("late")
    link = link_to(broker)
    timers = []

    def later(topics_asked):
        if ROOT.shard_filter(STATUS, topics.shard(device)) in topics_asked:
            timers.append(threading.Timer(0.02, settle, (broker, device)))
            timers[-1].start()

    fleet = read_fleet(_Spy(link, later), ROOT, Patience(quiet_s=0.1, settle_s=0.1, wait_s=5.0))
    timers[0].join()
    assert devices_of(fleet) == (Device(device, STATUS_ON, report(device)),)
    assert fleet.incomplete == ()


class _Spy:
    """A link that tells what was asked for, before it asks."""

    def __init__(self, link, on_subscribe):
        self._link, self._on_subscribe = link, on_subscribe

    def open(self, on_state):
        self._link.open(on_state)

    def publish(self, outgoing: Outgoing):
        return self._link.publish(outgoing)

    def subscribe(self, asked, qos, sink):
        self._on_subscribe(asked)
        self._link.subscribe(asked, qos, sink)

    def unsubscribe(self, asked):
        self._link.unsubscribe(asked)

    def close(self):
        self._link.close()
