import time
from datetime import timedelta

import pytest

from agent.ports.link import Message, Outgoing
from agent.wire import codec
from agent.wire.errors import ConfigError, StoreFailed, Unavailable
from agent.wire.topics import TELEMETRY, DeviceId, Root
from deploy.adapters.lock_file import Alone
from deploy.adapters.series_sqlite import SqliteSeries
from deploy.core.page.series import NOTHING, REST, Against
from deploy.page import collecting
from deploy.page.collecting import Collecting, Range
from deploy.page.receiver import Backlog, listen
from deploy.ports.series import DAY_S
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink
from tests.fakes.parcels import unpacked
from tests.fakes.windows import window

ROOT = Root("shoal/home")
HOUR = timedelta(hours=1)


def message(device, told, pipeline="main"):
    return Message(ROOT.device(TELEMETRY, DeviceId(device), pipeline), codec.encode(told))


class Refusing(SqliteSeries):
    """A disk that is full until it is not."""

    full = True

    def add(self, by_minute, now):
        if self.full:
            raise StoreFailed("the disk is full")
        super().add(by_minute, now)


@pytest.fixture
def clock():
    """Within a minute: the one that begins now ends no range yet."""
    clock = FakeClock()
    clock.advance(20.0)
    return clock


@pytest.fixture
def series(tmp_path):
    return SqliteSeries(tmp_path / "series.sqlite")


def collected(series, clock, *messages, releases=lambda: None, alone=lambda: True):
    collection = Collecting(series, clock, ROOT, releases, alone)
    with collection.running():
        for one in messages:
            collection.take(one)
    return collection


def test_what_every_shard_sends_is_counted_once_and_kept(series, clock):
    broker = MemoryBroker()
    link, devices = MemoryLink(broker), MemoryLink(broker)
    collection, backlog = Collecting(series, clock, ROOT), Backlog()
    listen(link, ROOT, backlog)
    link.open(lambda _: None)
    devices.open(lambda _: None)
    with collection.running():
        for n in range(100):
            sent = message(f"device-{n}", window(20.0, number=n))
            devices.publish(Outgoing(sent.topic, sent.payload, TELEMETRY.qos, retain=False))
        for received in unpacked(b"".join(backlog.batches())):
            collection.take(received)
    told = collection.collected()
    assert (told.messages, told.windows, told.devices, told.backlog) == (100, 100, 100, 0)
    latency = collection.latency("invoke", Range(clock.now() - HOUR))
    assert latency.everything.count == 100


def test_another_process_goes_on_with_what_the_one_before_it_kept(series, clock):
    collected(series, clock, message("a", window(10.0, number=1)))
    second = collected(series, clock, message("a", window(10.0, number=2)))
    assert second.latency("invoke", Range(clock.now() - HOUR)).everything.count == 2


def test_of_two_pages_one_keeps_what_both_hear_and_the_other_goes_on_when_it_has_gone(
    series, clock, tmp_path
):
    first, second = Alone(tmp_path / "series.lock"), Alone(tmp_path / "series.lock")
    both = message("a", window(10.0, number=1))
    pages = [collected(series, clock, both, alone=alone) for alone in (first, second)]
    assert [page.collected().windows for page in pages] == [1, 1]
    first.close()
    heir = collected(series, clock, message("a", window(10.0, number=2)), alone=second)
    second.close()
    assert heir.latency("invoke", Range(clock.now() - HOUR)).everything.count == 2


def test_what_a_full_disk_refuses_is_kept_when_there_is_room(tmp_path, clock):
    series = Refusing(tmp_path / "series.sqlite")
    collection = collected(series, clock, message("a", window(10.0, 20.0)))
    told = collection.collected()
    assert (told.unkept, told.why) == (1, "the disk is full")
    series.full = False
    collection.keep()
    assert collection.latency("invoke", Range(clock.now() - HOUR)).everything.count == 2
    assert collection.collected().why == ""


def test_what_comes_faster_than_it_can_be_read_is_lost_within_bounds_and_counted(series, clock, monkeypatch):
    monkeypatch.setattr(collecting, "BACKLOG_MAX", 10)
    collection = Collecting(series, clock, ROOT)
    for n in range(25):
        collection.take(message("a", window(number=n)))
    assert (collection.collected().backlog, collection.collected().overrun) == (10, 15)


def test_a_release_that_is_not_known_here_does_not_hide_those_that_are(series, clock):
    def releases():
        return {"cats@1"}

    strangers = [message("x", window(release=f"x@{n}", number=n)) for n in range(30)]
    collection = collected(series, clock, *strangers, message("a", window()), releases=releases)
    lines = collection.latency("invoke", Range(clock.now() - HOUR)).lines
    assert "cats@1" in {line.release for line in lines}
    assert sum(line.count for line in lines) == 31


def test_hardware_that_no_report_names_is_counted_without_a_name(series, clock):
    collection = Collecting(series, clock, ROOT)
    collection.follow(lambda: {"rpi5"})
    with collection.running():
        for number, hardware in enumerate(("rpi5", "rpi6", "rpi7")):
            collection.take(message("a", window(number=number, hardware=hardware)))
    lines = collection.latency("invoke", Range(clock.now() - HOUR)).lines
    assert [(line.hardware, line.count) for line in lines] == [(REST, 2), ("rpi5/xnnpack", 1)]


def test_releases_that_cannot_be_read_stop_nothing(series, clock):
    def releases():
        raise Unavailable("the disk does not answer")

    assert collected(series, clock, message("a", window()), releases=releases).collected().windows == 1


def test_classes_are_held_against_the_first_day_of_the_release(series, clock):
    collected(series, clock, *(message("a", window(*[9.0] * 300, number=n)) for n in range(2)))
    clock.advance(2 * DAY_S)
    foxes = window(*[9.0] * 600, number=9, classes={"fox": 600})
    collection = collected(series, clock, message("a", foxes))
    told = collection.classes("cats@1", Range(clock.now() - HOUR))
    assert (told.drift, told.reference.kind, told.reference.frames) == ("drifted", Against.SAME_HOURS, 600)
    [only] = collection.drifts()
    assert (only.release, only.drift) == ("cats@1", "drifted")
    given = collection.classes("cats@1", Range(clock.now() - HOUR), Range(clock.now() - HOUR))
    assert (given.drift, given.reference.kind) == ("steady", Against.GIVEN)


def test_a_release_is_held_against_its_first_day_when_that_is_over_and_until_then_against_nothing(
    series, clock
):
    foxes = message("a", window(*[9.0] * 600, number=1, classes={"fox": 600}))
    collection = collected(series, clock, foxes)
    told = collection.classes("cats@1", Range(clock.now() - HOUR))
    assert (told.drift, told.psi_whole, told.reference.kind) == ("too-few", None, Against.TO_COME)
    assert told.reference.until - clock.now() > timedelta(hours=23)
    assert [each.drift for each in collection.drifts()] == ["too-few"]
    clock.set(told.reference.until)
    whole = collection.classes("cats@1", Range(clock.now() - timedelta(days=1)))
    assert (whole.drift, whole.reference.kind, whole.reference.frames) == ("steady", Against.FIRST_DAY, 600)


@pytest.mark.parametrize(("stage", "since"), [("soul", -HOUR), ("invoke", HOUR), ("invoke", timedelta(0))])
def test_what_cannot_be_told_is_refused(series, clock, stage, since):
    with pytest.raises(ConfigError):
        Collecting(series, clock, ROOT).latency(stage, Range(clock.now() + since))


def test_a_collection_that_is_told_to_stop_takes_a_moment(series, clock):
    began = time.monotonic()
    collected(series, clock)
    assert time.monotonic() - began < 5.0


def test_what_the_fleet_runs_is_counted_and_a_full_disk_is_only_a_gap(series, clock, tmp_path):
    collection = Collecting(series, clock, ROOT)
    collection.count(["cats@1", "cats@1", ""])
    (cats, nothing) = collection.running_by(Range(clock.now() - HOUR)).lines
    assert (cats.release, cats.counts[-1], nothing.release) == ("cats@1", 2, NOTHING)
    Collecting(SqliteSeries(tmp_path / "nowhere" / "series.sqlite"), clock, ROOT).count(["cats@1"])
