from datetime import UTC, datetime, timedelta

import pytest

from agent.wire import codec
from agent.wire.reasons import IN_WORDS, Reason
from agent.wire.reports import (
    CameraReport,
    CameraState,
    Ended,
    Outcome,
    Phase,
    Presence,
    Progress,
    Report,
    Running,
    Status,
)
from agent.wire.topics import EVENT, REPORT, STATUS, Address, DeviceId
from deploy.core.devices import fleet
from deploy.core.devices.fleet import Device, Fold, Row

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
CAM = DeviceId("cam")
ONLINE = Status(state=Presence.ONLINE, session="s")
OFFLINE = Status(state=Presence.OFFLINE, session="s")
ACTIVE = Running(name="birds", version="1", manifest="a" * 64, digest="b" * 64, delegate="xnnpack")


def report(**fields):
    return Report(**({"device": CAM, "at": NOW - timedelta(seconds=90), "phase": Phase.IDLE} | fields))


def test_messages_in_any_order_fold_into_one_device_each():
    fold = Fold()
    fold.add(Address(REPORT, device=DeviceId("b")), codec.encode(report()))
    fold.add(Address(STATUS, device=DeviceId("b")), codec.encode(OFFLINE))
    fold.add(Address(STATUS, device=DeviceId("b")), codec.encode(ONLINE))
    fold.add(Address(STATUS, device=DeviceId("a")), codec.encode(OFFLINE))
    fold.add(Address(EVENT, device=DeviceId("c")), b"not ours to read")
    assert fold.devices() == (
        Device(DeviceId("a"), status=OFFLINE),
        Device(DeviceId("b"), status=ONLINE, report=report()),
    )


def test_a_device_whose_report_cannot_be_read_is_shown_with_the_reason():
    fold = Fold()
    fold.add(Address(REPORT, device=CAM), b'{"schema": 99}')
    (device,) = fold.devices()
    assert fleet.rows(device, NOW) == (
        Row(device="cam", online=False, why="report has schema 99, this program knows 1: upgrade it"),
    )


@pytest.mark.parametrize(
    ("status", "fields", "expected"),
    [
        (
            ONLINE,
            {"active": ACTIVE, "plan_serial": 3},
            {"online": True, "running": "birds@1", "delegate": "xnnpack", "plan_serial": 3},
        ),
        (
            OFFLINE,
            {"reason": Reason.OUTSIDE_CUT, "detail": "hash 0.6"},
            {"reason": "outside-cut", "why": f"{IN_WORDS[Reason.OUTSIDE_CUT]} (hash 0.6)"},
        ),
        (
            None,
            {
                "phase": Phase.FETCHING,
                "candidate": Progress(
                    name="birds", version="2", manifest="c" * 64, bytes_done=50, bytes_total=200
                ),
            },
            {"candidate": "birds@2", "why": "birds@2: 25 % of 200 bytes are here"},
        ),
        (
            None,
            {
                "last": Ended(
                    name="birds",
                    version="2",
                    manifest="c" * 64,
                    outcome=Outcome.REFUSED,
                    reason=Reason.GOLDEN_MISMATCH,
                    detail="case 3",
                )
            },
            {
                "reason": "golden-mismatch",
                "why": f"refused birds@2: {IN_WORDS[Reason.GOLDEN_MISMATCH]} (case 3)",
            },
        ),
        (
            None,
            {"last": Ended(name="birds", version="1", manifest="a" * 64, outcome=Outcome.COMMITTED)},
            {},
        ),
        (
            ONLINE,
            {
                "degraded": "the Edge TPU is lost",
                "camera": CameraReport(state=CameraState.FROZEN, detail="the same for 6 s"),
                "paused": True,
            },
            {
                "online": True,
                "degraded": "the Edge TPU is lost",
                "camera": CameraState.FROZEN,
                "camera_detail": "the same for 6 s",
                "paused": True,
            },
        ),
    ],
)
def test_a_device_is_one_row_in_words(status, fields, expected):
    seen = report(**fields)
    (row,) = fleet.rows(Device(CAM, status=status, report=seen), NOW)
    blank = {"device": "cam", "online": False, "phase": seen.phase, "report_age_s": 90.0, "hardware": "cpu"}
    assert row == Row(**(blank | expected))


def test_each_pipeline_of_a_device_is_a_row_of_its_own():
    fold = Fold()
    fold.add(Address(STATUS, device=CAM), codec.encode(ONLINE))
    for pipeline in ("yard", "door"):
        fold.add(Address(REPORT, device=CAM, pipeline=pipeline), codec.encode(report(active=ACTIVE)))
    fold.add(Address(REPORT, device=CAM, pipeline="door"), codec.encode(report(paused=True)))
    fold.add(Address(REPORT, device=CAM), codec.encode(report()))
    (device,) = fold.devices()
    found = [(row.pipeline, row.online, row.running, row.paused) for row in fleet.rows(device, NOW)]
    assert found == [("main", True, "", False), ("door", True, "", True), ("yard", True, "birds@1", False)]


def test_a_device_whose_main_pipeline_has_not_reported_says_so_beside_those_that_have():
    device = Device(CAM, status=ONLINE, further=(report(pipeline="door"),))
    assert [row.pipeline for row in fleet.rows(device, NOW)] == ["main", "door"]
    assert fleet.rows(device, NOW)[0].why == "it has not reported yet"


def test_a_clock_that_runs_ahead_on_a_device_gives_no_negative_age():
    (row,) = fleet.rows(Device(CAM, report=report(at=NOW + timedelta(hours=1))), NOW)
    assert row.report_age_s == 0.0


@pytest.mark.parametrize(
    ("said", "beat_s", "online"),
    [
        (timedelta(seconds=-30), 60.0, True),
        (timedelta(seconds=-179), 60.0, True),
        (timedelta(seconds=-181), 60.0, False),
        (timedelta(days=-1), 0.0, True),
        (timedelta(days=-365 * 50), 60.0, True),
        (timedelta(hours=2), 60.0, True),
    ],
)
def test_who_was_not_heard_for_three_beats_is_not_there(said, beat_s, online):
    now = datetime(2026, 8, 1, tzinfo=UTC)
    status = Status(state=Presence.ONLINE, session="s", at=now + said, beat_s=beat_s)
    assert fleet.rows(Device(DeviceId("pi-1"), status=status), now)[0].online is online
