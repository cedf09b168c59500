from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.wire import codec
from agent.wire.reasons import Reason
from agent.wire.reports import Capabilities, Phase, Presence, Report, Status
from agent.wire.seal import seal
from agent.wire.topics import REPORT, SHARDS, STATUS, DeviceId, Root, shard
from deploy.core.rollouts.believing import CONTENT_MAX_BYTES, PIPELINES_MAX, REFUSED_MAX, Believer
from deploy.core.rollouts.picture import Seen, of_stream
from deploy.core.rollouts.state import Member

ROOT = Root("shoal/test")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
A, B = DeviceId("a"), DeviceId("b")
KEYS = {A: b"a" * 32, B: b"b" * 32}
SEALED = {A: Member(A, sealed=True)}


def report(device=A, boot=1, number=1, **more):
    at = NOON + timedelta(hours=boot, seconds=number)
    more.setdefault("capabilities", Capabilities(hardware="cpu"))
    return Report(device=device, at=at, phase=Phase.IDLE, boot=boot, number=number, **more)


def status(state=Presence.ONLINE, boot=1):
    return Status(state=state, session="s", boot=boot)


def sent(channel, document, *, by=A, under=None, key=None):
    topic = ROOT.device(channel, under or by)
    content = codec.encode(document)
    return topic, content if key is None else seal(topic, content, key)


def sealed(channel, document, *, by=A):
    return sent(channel, document, by=by, key=KEYS[by])


def believer(members=None, marks=None):
    return Believer(ROOT, KEYS.get, members or {}, dict(marks or {}))


def told(of, *messages, at=NOON):
    """What is believed after these."""
    for message in messages:
        of.take(*message, at)
    return of.picture(at)


def test_in_a_fleet_where_nobody_was_enrolled_every_device_is_believed():
    picture = told(believer(), sent(STATUS, status()), sent(REPORT, report()), sent(REPORT, report(B), by=B))
    assert [(seen.id, seen.online, seen.hardware) for seen in picture.devices] == [
        (A, True, "cpu"),
        (B, False, "cpu"),
    ]
    assert picture.refused == ()


FORGERIES = {
    "without a seal": sent(REPORT, report(number=9)),
    "under another's key": sent(REPORT, report(number=9), key=KEYS[B]),
    "another device's, under its topic": sealed(REPORT, report(B, number=9)),
    "replayed": sealed(REPORT, report(number=4)),
    "of an earlier boot": sealed(REPORT, report(boot=0, number=99)),
    "a second one of the same number": sealed(REPORT, report(number=5, detail="other")),
    "no report": (ROOT.device(REPORT, A), b"{}"),
    "a status of an earlier boot": sealed(STATUS, status(Presence.OFFLINE, boot=0)),
    "a status without a seal": sent(STATUS, status(Presence.OFFLINE)),
}
TRUE = [sealed(STATUS, status()), sealed(REPORT, report(number=5))]


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_changes_nothing_that_is_believed_and_is_named(forgery):
    of = believer(SEALED)
    before = told(of, *TRUE)
    after = told(of, forgery)
    assert after.devices == before.devices
    (named,) = after.refused
    assert str(A) in named


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_that_stands_in_place_of_the_true_word_is_not_believed_after_a_restart(forgery):
    first = believer(SEALED)
    before = told(first, *TRUE)
    again = believer(SEALED, first.marks)
    again.remember(before.devices)
    assert told(again, forgery).devices == before.devices


def test_a_device_that_was_never_enrolled_or_was_expelled_is_none():
    members = SEALED | {B: Member(B, sealed=True, expelled=True)}
    stranger = DeviceId("stranger")
    picture = told(
        believer(members), *TRUE, sealed(REPORT, report(B), by=B), sent(REPORT, report(stranger), by=stranger)
    )
    assert [seen.id for seen in picture.devices] == [A]
    assert picture.refused == (
        "b was expelled, and speaks still",
        "stranger was never enrolled: shoal enrol stranger",
    )


def test_who_is_expelled_leaves_the_picture_at_once():
    of = believer(SEALED)
    told(of, *TRUE)
    of.enrol({A: replace_member(expelled=True)})
    assert of.picture(NOON).devices == ()


def replace_member(*, expelled):
    return Member(A, sealed=True, expelled=expelled)


def test_what_comes_again_is_heard_once():
    of = believer(SEALED)
    told(of, *TRUE)
    assert not of.take(*TRUE[1], NOON + timedelta(hours=1))
    assert of.picture(NOON).devices[0].heard_at == NOON


def test_a_restart_does_not_make_an_old_word_new():
    first = believer(SEALED)
    before = told(first, *TRUE)
    again = believer(SEALED, first.marks)
    kept = [replace(seen, report=replace(seen.report, detail="condensed")) for seen in before.devices]
    again.remember(kept)
    assert told(again, *TRUE, at=NOON + timedelta(hours=1)).devices[0].heard_at == NOON
    newer = sealed(REPORT, report(number=6))
    assert told(again, newer, at=NOON + timedelta(hours=2)).devices[0].heard_at == NOON + timedelta(hours=2)


def test_going_and_coming_are_noted_when_they_are_seen():
    of = believer()
    later = [NOON + timedelta(minutes=minute) for minute in range(3)]
    (there,) = told(of, sent(STATUS, status(Presence.OFFLINE)), sent(REPORT, report())).devices
    assert (there.gone_at, there.free_at) == (None, None), "it was away when it was first looked at"
    (there,) = told(of, sent(STATUS, status()), at=later[1]).devices
    assert (there.online, there.gone_at, there.free_at) == (True, None, later[1])
    (there,) = told(of, sent(STATUS, status(Presence.OFFLINE)), at=later[2]).devices
    assert (there.online, there.gone_at) == (False, later[2])


def test_a_window_that_opened_frees_a_device():
    of = believer()
    told(of, sent(REPORT, replace(report(), phase=Phase.HELD, reason=Reason.WINDOW)))
    (there,) = told(of, sent(REPORT, report(number=2)), at=NOON + timedelta(minutes=5)).devices
    assert there.free_at == NOON + timedelta(minutes=5)


def test_tags_of_the_enrolment_count_before_those_that_a_device_gives_itself():
    members = {A: Member(A, tags=("line-3",))}
    capabilities = Capabilities(hardware="cpu", tags=("canary",))
    (there,) = told(believer(members), sent(REPORT, report(capabilities=capabilities))).devices
    assert there.tags == ("line-3",)


def test_who_was_not_there_when_the_rollout_began_is_not_counted_unless_enrolled():
    of = believer()
    told(of, sent(REPORT, report()))
    of.count_in(frozenset({A}))
    picture = told(of, sent(REPORT, report(B), by=B))
    assert [(seen.id, seen.known) for seen in picture.devices] == [(A, True), (B, False)]
    of.count_in(None)
    assert all(seen.known for seen in of.picture(NOON).devices)


def test_a_flood_of_forged_ids_is_counted_and_not_kept():
    forged = [DeviceId(f"x{number}") for number in range(REFUSED_MAX + 7)]
    picture = told(believer(SEALED), *(sent(REPORT, report(each), by=each) for each in forged))
    assert len(picture.refused) == REFUSED_MAX + 1
    assert picture.refused[-1] == "7 more messages were not believed"
    assert picture.devices == ()


def test_of_how_many_pipelines_one_device_may_tell():
    pipelines = [f"p{number}" for number in range(PIPELINES_MAX + 3)]
    messages = []
    for pipeline in pipelines:
        topic = ROOT.device(REPORT, A, pipeline)
        messages.append((topic, seal(topic, codec.encode(report(pipeline=pipeline)), KEYS[A])))
    of = believer(SEALED)
    picture = told(of, *messages, *messages)
    assert [each.report.pipeline for each in picture.devices[0].further] == sorted(pipelines[:PIPELINES_MAX])
    assert len(of.marks) == PIPELINES_MAX
    assert "more than 32 pipelines: p34" in picture.refused[0]


def test_what_is_too_long_for_a_report_is_not_even_looked_at():
    of = believer(SEALED)
    told(of, *TRUE)
    picture = told(of, sealed(REPORT, report(number=6, detail="x" * CONTENT_MAX_BYTES)))
    assert picture.devices[0].report.number == 5
    assert f"at most {CONTENT_MAX_BYTES} are read" in picture.refused[0]


def crowd(count):
    return [DeviceId(f"pi-{number}") for number in range(count)]


@pytest.mark.parametrize("withheld", SHARDS[:3])
def test_a_shard_that_holds_its_tongue_is_missing_from_the_picture(withheld):
    devices = crowd(200)
    first = believer()
    told(first, *(sent(REPORT, report(device), by=device) for device in devices))
    again = believer(marks=first.marks)
    picture = told(
        again, *(sent(REPORT, report(device), by=device) for device in devices if shard(device) != withheld)
    )
    (missing,) = picture.missing
    assert missing.startswith(f"shard {withheld}:")
    assert told(again, *(sent(REPORT, report(device), by=device) for device in devices)).missing == ()


def test_one_device_that_left_nothing_is_not_a_shard():
    devices = crowd(200)
    picture = told(
        believer(marks=dict.fromkeys(devices, (1, 1))),
        *(sent(REPORT, report(device), by=device) for device in devices[1:]),
    )
    assert picture.missing == ()


@pytest.mark.parametrize(("before", "missing"), [(Presence.OFFLINE, 0), (Presence.ONLINE, 1)])
def test_who_was_away_already_is_not_missing_from_a_broker_that_lost_its_memory(before, missing):
    of = believer()
    told(of, sent(REPORT, report()), sent(STATUS, status()), sent(STATUS, status(before)))
    of.begin_reading()
    assert len(of.picture(NOON).missing) == missing


@given(st.permutations([(boot, number) for boot in (1, 2) for number in (1, 2, 3)]))
def test_in_whatever_order_reports_come_the_newest_is_believed_and_never_an_older_one_again(order):
    of, highest = believer(SEALED), (0, 0)
    for boot, number in order:
        of.take(*sealed(REPORT, report(boot=boot, number=number)), NOON)
        highest = max(highest, (boot, number))
        (there,) = of.picture(NOON).devices
        assert isinstance(there, Seen)
        assert (there.report.boot, there.report.number) == highest


def of_door(document, *, key=None):
    topic = ROOT.device(REPORT, A, "door")
    content = codec.encode(document)
    return topic, content if key is None else seal(topic, content, key)


def test_each_pipeline_has_a_word_of_its_own_and_numbers_of_its_own():
    at_door = report(number=3, pipeline="door", stream="doors")
    picture = told(
        believer(SEALED), sealed(REPORT, report(number=7, stream="main")), of_door(at_door, key=KEYS[A])
    )
    (seen,) = picture.devices
    assert seen.report is not None
    assert (seen.report.number, [further.report for further in seen.further]) == (7, [at_door])
    assert picture.refused == ()


def test_a_replay_of_a_pipeline_is_none_of_its_word_after_a_restart_either():
    old, new = (report(number=number, pipeline="door", stream="doors") for number in (3, 4))
    of = believer(SEALED)
    told(of, of_door(new, key=KEYS[A]))
    again = believer(SEALED, of.marks)
    picture = told(again, of_door(old, key=KEYS[A]))
    assert picture.refused
    assert not any(seen.further for seen in picture.devices)


@pytest.mark.parametrize(
    ("stream", "answers"),
    [("main", "main"), ("doors", "door"), ("garden", None)],
)
def test_a_device_stands_in_a_stream_by_the_pipeline_that_follows_it(stream, answers):
    picture = told(
        believer(),
        sent(REPORT, report(stream="main")),
        of_door(report(number=2, pipeline="door", stream="doors")),
    )
    found = [seen.report and seen.report.pipeline for seen in of_stream(picture, stream).devices]
    assert found == ([] if answers is None else [answers])


def test_a_device_that_has_not_reported_yet_may_be_of_any_stream():
    picture = told(believer(), sent(STATUS, status()))
    assert [seen.id for seen in of_stream(picture, "doors").devices] == [A]
