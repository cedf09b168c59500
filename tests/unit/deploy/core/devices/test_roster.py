from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from agent.wire.documents import Plan, ReleaseRef
from agent.wire.reasons import Reason
from agent.wire.reports import Capabilities, Phase, Presence, Report, Running, Status
from agent.wire.topics import MAIN, DeviceId
from deploy.core.devices import roster
from deploy.core.devices.fleet import Device
from deploy.core.devices.roster import Counts, SortBy, Wanted
from deploy.core.devices.why import Case
from deploy.core.rollouts import matching
from deploy.core.rollouts.picture import Seen
from deploy.core.rollouts.state import Member
from deploy.core.rollouts.tally import Standing

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
BIRDS = ReleaseRef(name="birds", version="1", manifest="1" * 64)
PLAN = Plan(stream="main", serial=3, stable=BIRDS)


def report(name, *, hardware="cpu", tags=(), age_s=10, version="1", **fields):
    running = Running(name="birds", version=version, manifest=version * 64, digest="a" * 64)
    return Report(
        device=DeviceId(name),
        at=NOW - timedelta(seconds=age_s),
        phase=fields.pop("phase", Phase.IDLE),
        active=running,
        plan_serial=3,
        capabilities=Capabilities(hardware=hardware, tags=tags, agent="1"),
        **fields,
    )


REPORTS = {
    "a": report("a", tags=("door",)),
    "b": report("b", hardware="edgetpu", age_s=900),
    "c": report("c", version="2", phase=Phase.HELD, reason=Reason.LOW_DISK, age_s=60),
}
DEVICES = tuple(
    Device(
        DeviceId(name),
        Status(state=Presence.OFFLINE if name == "b" else Presence.ONLINE, session="s"),
        told,
        further=(report("a", version="9", pipeline="door"),) if name == "a" else (),
    )
    for name, told in REPORTS.items()
)


def case(name, pipeline):
    told = REPORTS.get(name) if pipeline == MAIN else report(name, version="9", pipeline=pipeline)
    if told is None:
        return Case(NOW, member=Member(DeviceId(name)), plan=PLAN)
    tags = ("garden",) if name == "b" else told.capabilities.tags
    seen = Seen(
        id=told.device, hardware=told.capabilities.hardware, tags=tags, online=name != "b", report=told
    )
    return Case(NOW, seen, plan=PLAN)


ROWS = roster.rows(("a", "b", "c", "d"), DEVICES, case)


def names(rows):
    return [row.device for row in rows]


def test_every_device_has_its_cause_and_its_further_pipelines_follow_it():
    assert [(row.device, row.code) for row in ROWS] == [
        ("a", "serving-stable"), ("a", "pending"), ("b", "serving-stable"), ("c", "low-disk"),
        ("d", "never-seen"),
    ]  # fmt: skip
    assert ROWS[0].why == "", "what is as it should be needs no words"


def test_rows_are_those_that_follow_a_stream_or_do_not_say_which():
    every = (replace(ROWS[0], stream="main"), replace(ROWS[1], stream="door"), ROWS[2])
    assert roster.chosen(every, Wanted(stream="door")) == every[1:]


def test_tags_are_those_that_are_believed():
    assert ROWS[2].tags == ("garden",)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), ["a", "a", "b", "c", "d"]),
        (Wanted(match=matching.terms(matching.parse(["hardware=edgetpu & tag=garden"]))), ["b"]),
        (Wanted(match=matching.terms(["tag!=door"])), ["a", "b", "c", "d"]),
        (Wanted(phases=frozenset({Phase.HELD})), ["c"]),
        (Wanted(reasons=frozenset({"low-disk", "never-seen"})), ["c", "d"]),
        (Wanted(release="birds@1"), ["a", "b"]),
        (Wanted(release="birds"), ["a", "a", "b", "c"]),
        (Wanted(presence=Presence.OFFLINE), ["b", "d"]),
        (Wanted(presence=Presence.ONLINE, release="birds@2"), ["c"]),
    ],
)
def test_a_row_is_shown_where_all_that_was_asked_holds(wanted, found):
    assert names(roster.chosen(ROWS, wanted)) == found


@pytest.mark.parametrize(
    ("by", "first"),
    [
        (SortBy.WORST, "c"),
        (SortBy.DEVICE, "a"),
        (SortBy.SEEN, "b"),
        (SortBy.ONLINE, "b"),
        (SortBy.REASON, "c"),
        (SortBy.PLAN, "d"),
        (SortBy.HARDWARE, "d"),
        (SortBy.RUNNING, "d"),
        (SortBy.PHASE, "d"),
    ],
)
def test_rows_are_sorted_by_one_thing_and_keep_their_order_else(by, first):
    found = roster.ordered(ROWS, by)
    assert found[0].device == first
    assert sorted(names(found)) == names(ROWS)


def test_devices_are_shown_by_how_the_gate_counts_them():
    failed = [replace(ROWS[3], standing=Standing.FAILED)]
    assert roster.chosen((*ROWS, *failed), Wanted(standings=frozenset({Standing.FAILED}))) == tuple(failed)


def test_devices_are_counted_once_each_by_their_cause():
    assert roster.counts(ROWS) == Counts(
        devices=4,
        online=2,
        offline=2,
        standings={},
        codes={"serving-stable": 2, "pending": 1, "low-disk": 1, "never-seen": 1},
    )


def test_who_is_offline_and_who_is_held_by_that_are_counted_apart():
    gone = [replace(ROWS[2], device=name, code=code) for name, code in (("x", "offline"), ("y", "low-disk"))]
    found = roster.counts((*gone, replace(ROWS[0], standing=Standing.HEALTHY)))
    assert (found.online, found.offline, found.codes["offline"]) == (1, 2, 1)
    assert found.standings == {"healthy": 1}


def test_a_device_of_which_only_a_further_pipeline_is_shown_is_counted_too():
    held = replace(ROWS[1], code="veto")
    assert roster.counts([held]) == Counts(devices=1, online=1, offline=0, standings={}, codes={"veto": 1})


def test_those_that_a_person_should_look_at_stand_first():
    well = ROWS[0]
    rows = (
        well,
        replace(well, code="downloading"),
        replace(well, code="serving-stable", online=False),
        replace(well, degraded="the Edge TPU is lost"),
        ROWS[3],
        replace(well, standing=Standing.VANISHED),
        replace(well, standing=Standing.SILENT),
    )
    assert roster.ordered(rows, SortBy.WORST) == tuple(reversed(rows))
