"""Which of what two brokers hold of a device is its newest word."""

from datetime import UTC, datetime, timedelta

from agent.wire import codec, topics
from agent.wire.reports import Phase, Presence, Report, Status
from agent.wire.topics import REPORT, STATUS, DeviceId
from deploy.core.devices.newest import Newest

ROOT = topics.root("shoal/test")
DEVICE = DeviceId("pi-1")
NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
HOME, OTHER = 0, 1


def report(number: int, *, boot: int = 1) -> tuple[str, bytes]:
    told = Report(device=DEVICE, at=NOON, phase=Phase.IDLE, boot=boot, number=number)
    return ROOT.device(REPORT, DEVICE), codec.encode(told)


def status(state: Presence, minutes: int | None) -> tuple[str, bytes]:
    at = None if minutes is None else NOON + timedelta(minutes=minutes)
    return ROOT.device(STATUS, DEVICE), codec.encode(Status(state=state, session="s", boot=1, at=at))


ONLINE, OFFLINE = Presence.ONLINE, Presence.OFFLINE


def test_the_report_that_was_left_behind_does_not_pass_whichever_broker_is_read_first():
    newest = Newest(ROOT)
    assert newest.passes(HOME, *report(3))
    assert newest.passes(OTHER, *report(4))
    assert not newest.passes(HOME, *report(3))
    assert newest.passes(OTHER, *report(5))
    assert newest.passes(HOME, *report(1, boot=2))
    assert not newest.passes(OTHER, *report(5))


def test_a_replay_on_one_broker_passes_to_who_judges_it():
    newest = Newest(ROOT)
    assert newest.passes(HOME, *report(3))
    assert newest.passes(HOME, *report(2))


def test_the_last_will_on_the_broker_that_a_device_left_does_not_pass():
    newest = Newest(ROOT)
    assert newest.passes(HOME, *status(ONLINE, 0))
    assert newest.passes(OTHER, *status(ONLINE, 5))
    assert not newest.passes(HOME, *status(OFFLINE, None))
    assert newest.passes(OTHER, *status(OFFLINE, None))


def test_the_word_online_that_a_killed_broker_kept_does_not_pass():
    newest = Newest(ROOT)
    assert newest.passes(OTHER, *status(ONLINE, 5))
    assert not newest.passes(HOME, *status(ONLINE, 0))
    assert newest.passes(HOME, *status(ONLINE, 6))


def test_what_cannot_be_read_passes_to_who_judges_it():
    newest = Newest(ROOT)
    for topic in (ROOT.device(STATUS, DEVICE), ROOT.device(REPORT, DEVICE), ROOT.index(), "elsewhere"):
        assert newest.passes(HOME, topic, b"\xff{")
        assert newest.passes(OTHER, topic, b"")
