from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.update import cohort
from agent.wire.documents import Plan, ReleaseRef
from agent.wire.reasons import Reason
from agent.wire.reports import Capabilities, Ended, Phase, Progress, Report, Running
from agent.wire.reports import Outcome as Ending
from agent.wire.topics import DeviceId
from deploy.assemble.controller.watching import View, turned
from deploy.cli.fleet import watch_frame
from deploy.core.devices import outlook
from deploy.core.rollouts import words
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.state import Rollout, Turn
from deploy.core.rollouts.tally import Standing
from deploy.core.rollouts.words import Order

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
STABLE = ReleaseRef(name="birds", version="1", manifest="1" * 64)
NEW = ReleaseRef(name="birds", version="2", manifest="2" * 64)
ORDER = Order(
    rollout="birds-2", stream="main", release=NEW, files=("2" * 64,), stable=STABLE, salt="s",
    waves=("3", "10%", "100%"), bytes_each=1_000,
)  # fmt: skip
DEVICES = tuple(DeviceId(f"cam-{number}") for number in range(100))


def plan(k, serial):
    cut = {"*": cohort.NOBODY, "cpu": cohort.exact_cut("s", DEVICES, k)}
    return Plan(
        stream="main", serial=serial, stable=STABLE, candidate=NEW, salt="s", rollout="birds-2", cut=cut
    )


SMALL, LARGE = plan(3, 4), plan(10, 5)
ROLLOUT = Rollout(
    ORDER, NOW - timedelta(minutes=9), wave=1, wave_at=NOW - timedelta(minutes=2), plan=LARGE,
    turns=(Turn(NOW - timedelta(minutes=9), 4, SMALL), Turn(NOW - timedelta(minutes=2), 5, LARGE)),
)  # fmt: skip


def running(ref):
    return Running(name=ref.name, version=ref.version, manifest=ref.manifest, digest="a" * 64)


def seen(device, **fields):
    told = {"phase": Phase.IDLE, "active": running(STABLE), "plan_serial": 5, "at": NOW} | fields
    report = Report(device=device, capabilities=Capabilities(hardware="cpu"), **told)
    return Seen(id=device, hardware="cpu", online=True, report=report, heard_at=NOW)


def fleet():
    """Of the first wave all are healthy; of the second one refuses, one downloads, five have not begun."""
    inside = [device for device in DEVICES if cohort.belongs(LARGE.cut, "cpu", "s", device)]
    first = [device for device in inside if cohort.belongs(SMALL.cut, "cpu", "s", device)]
    bad, loading = [device for device in inside if device not in first][:2]
    refused = Ended(
        name="birds", version="2", manifest="2" * 64, outcome=Ending.REFUSED, reason=Reason.TOO_SLOW
    )
    fetched = Progress(name="birds", version="2", manifest="2" * 64, bytes_done=400, bytes_total=1_000)
    told = {device: {"active": running(NEW)} for device in first}
    told |= {bad: {"last": refused}, loading: {"phase": Phase.FETCHING, "candidate": fetched}}
    return Picture(at=NOW, devices=tuple(seen(device, **told.get(device, {})) for device in sorted(DEVICES)))


def view(rollout=ROLLOUT, picture=None, **fields):
    picture = picture or fleet()
    found = outlook.outlook(rollout, picture, outlook.ahead(rollout, picture))
    return View(**({"outlook": found, "rate_bytes_s": 100.0, "events": (), "note": ""} | fields))


def drawn(a_view, width=100, height=24, glyphs=watch_frame.UNICODE):
    return [line.plain for line in watch_frame.frame(a_view, width, height, glyphs)]


def test_a_wide_terminal_has_a_table_of_waves_and_the_findings_of_the_gate():
    lines = drawn(view())
    assert lines[0] == "birds@2 wave 2 of 3 (10%) for 2 min  rollout birds-2, stream main"
    table = [line.split()[:7] for line in lines[1:5]]
    assert table == [
        ["WAVE", "DEVICES", "healthy", "pending", "failed", "silent"],
        ["✓", "3", "3", "3", "0", "0", "0"],
        ["▶", "10%", "7", "0", "6", "1", "0"],
        ["·", "100%", "90"],
    ]
    assert lines[5] == "5.6 kB to come to 6 devices, 100 B/s, about 56 s"
    assert lines[6].startswith("gate: abort  1 of 10 devices failed")


def test_a_small_terminal_keeps_the_current_wave_and_the_verdict():
    lines = drawn(view(events=("09:00:00 ada: began",)), 40, 12)
    assert any(line.startswith("▶ 10% 6 pending, 1 failed") for line in lines)
    assert any(line.startswith("gate: abort") for line in lines)


@given(st.integers(20, 200), st.integers(4, 60), st.sampled_from([watch_frame.UNICODE, watch_frame.ASCII]))
def test_whatever_its_size_nothing_runs_over_a_terminal(width, height, glyphs):
    busy = view(events=tuple("x" * 150 for _ in range(50)), note="the broker is away" * 9)
    frame = watch_frame.frame(busy, width, height, glyphs)
    assert len(frame) <= height
    assert all(line.cell_len <= width for line in frame)
    assert frame[0].plain.startswith("birds@2 wave 2 of 3")


def test_without_unicode_nothing_else_is_drawn():
    assert all(line.isascii() for line in drawn(view(), glyphs=watch_frame.ASCII))


def test_one_failure_among_thousands_is_seen_in_the_bar():
    wave = outlook.WaveView(
        "100%", outlook.WaveState.CURRENT, 9_999, {Standing.HEALTHY: 9_998, Standing.FAILED: 1}
    )
    bar = watch_frame._bar(wave, 30, watch_frame.ASCII).plain
    assert (len(bar), bar.count("x"), bar.count("#")) == (30, 1, 29)


def test_what_a_device_told_cannot_steer_the_terminal():
    assert not any("\x1b" in line for line in drawn(view(events=("cam: \x1b[2J",))))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "wave 2 of 3 (10%): 3 healthy, 6 pending, 1 failed; abort: 1 of 10 devices failed"),
        ({"aborted": "bad", "wave": -1}, "is being taken back"),
        (
            {"aborted": "bad", "wave": -1, "outcome": words.Outcome.REVERTED},
            "reverted: 6 of 10 devices serve what was stable",
        ),
        ({"outcome": words.Outcome.COMPLETED}, "completed: it became the stable release"),
        ({"wave": -1, "wave_at": None, "plan": None, "turns": ()}, "has not begun"),
    ],
)
def test_in_a_pipe_a_rollout_is_one_line(changes, said):
    fields = {name: getattr(ROLLOUT, name) for name in Rollout.__slots__} | changes
    assert watch_frame.plain(view(Rollout(**fields))).startswith(said)


def test_what_keeps_it_from_being_true_is_said_in_either_form():
    away = view(note="the broker is away since 12:00:00")
    assert "the broker is away since 12:00:00" in drawn(away)[1]
    assert watch_frame.plain(away).endswith("; the broker is away since 12:00:00")


def test_an_incomplete_picture_names_what_is_missing():
    partial = replace(fleet(), missing=("shard 3 was not read to its end",))
    assert view(picture=partial).outlook.missing == ("shard 3 was not read to its end",)


def test_a_few_devices_that_turn_are_named_and_many_are_counted():
    before = dict.fromkeys(DEVICES, Standing.PENDING)
    now = before | dict.fromkeys(DEVICES[:50], Standing.HEALTHY) | {DEVICES[60]: Standing.FAILED}
    assert list(turned(before, now)) == [
        "50 devices: pending, now healthy", f"{DEVICES[60]}: pending, now failed",
    ]  # fmt: skip
    assert list(turned({}, {DEVICES[0]: Standing.HELD})) == ["cam-0: held"]


def test_a_line_in_a_pipe_does_not_change_because_time_passes():
    told = "1 of 2 devices has until 10:00:00 UTC, 0:01:51 from now; looked at for 5 s, of which 3 s are over"
    assert watch_frame.timeless(told) == "1 of 2 devices has until 10:00:00 UTC; looked at for 5 s"
