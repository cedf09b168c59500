import io
import os
import sys

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from agent.wire.reports import CameraState, Phase
from deploy.cli import output
from deploy.cli.fleet import devices_table
from deploy.core.devices.fleet import Row


def test_columns_are_as_wide_as_their_widest_cell():
    assert output.columns(("A", "LONG"), [("xyz", "1"), ("", "22")]) == ["A    LONG", "xyz  1", "     22"]


def test_letters_that_a_terminal_lacks_end_no_command(monkeypatch):
    for encoding in ("iso-8859-1", "ascii"):
        terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", terminal)
        output.spell_what_it_can()
        output.say("кот ▁▃█ cat")
        terminal.flush()
        assert terminal.buffer.getvalue() == b"??? ??? cat\n"


def test_a_complaint_is_one_line(capsys):
    output.complain("broken:\n  because\tof this")
    assert capsys.readouterr().err == "shoal: broken: because of this\n"


@pytest.mark.parametrize(
    ("steps", "quarters"),
    [
        ([0, 10, 30, 55, 80, 100], [25, 50, 75, 100]),
        ([0, 100], [100]),
        ([50, 100, 10, 100], [50, 100, 100]),
    ],
)
def test_progress_without_a_terminal_is_a_line_a_quarter(steps, quarters, capsys):
    with output.progress("sending") as on_progress:
        for step in steps:
            on_progress(step * 50_000, 5_000_000)
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == [str(q) for q in quarters]


def test_what_is_over_in_a_moment_says_nothing(capsys):
    with output.progress("sending") as on_progress:
        on_progress(0, 0)
        on_progress(20, 20)
    assert capsys.readouterr().err == ""


def test_a_device_that_never_reported_has_dashes():
    cells = devices_table.cells(Row(device="cam", online=True, why="it has not reported yet"))
    assert cells == ("cam", "yes", "-", "-", "-", "-", "-", "-", "-", "it has not reported yet")


@pytest.mark.parametrize(
    ("fields", "named", "condition", "why"),
    [
        ({"camera": CameraState.LIVE}, "cam", "ok", ""),
        ({"pipeline": "door", "paused": True}, "cam/door", "paused", ""),
        (
            {"degraded": "the Edge TPU is lost", "camera": CameraState.BLACK, "camera_detail": "a lens cap?"},
            "cam",
            "degraded, camera black",
            "the Edge TPU is lost; a lens cap?",
        ),
        (
            {"reason": "clock", "why": "no\x1b[2J time", "degraded": "x"},
            "cam",
            "degraded",
            "clock: no�[2J time; x",
        ),
    ],
)
def test_what_ails_a_pipeline_stands_in_its_row(fields, named, condition, why):
    cells = devices_table.cells(Row(device="cam", online=True, phase=Phase.IDLE, **fields))
    assert (cells[0], cells[5], cells[-1]) == (named, condition, why)


FAILED = Row(
    device="berlin-00975",
    online=True,
    running="cats@19",
    delegate="cpu",
    phase=Phase.IDLE,
    plan_serial=71,
    report_age_s=60.0,
    tags=("line-8", "hall-berlin"),
    code="worker-crashed",
    why="the worker crashed while the model was on probation " * 3,
)


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("running", ["cats@19", "猫@19"])
def test_in_a_terminal_a_device_is_a_line_and_the_cause_has_the_room(width, running, monkeypatch, capsys):
    monkeypatch.setattr(output, "room", lambda: os.terminal_size((width, 24)))
    output.say(devices_table.table([replace(FAILED, running=running)], width))
    headings, *_, row = lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert max(map(cell_len, lines)) <= width
    assert row.startswith("berlin-00975")
    assert "worker-crashed: the worker" in row
    assert ("TAGS" in headings) is (width == 200)


def test_in_a_terminal_without_room_for_a_line_a_device_is_several(monkeypatch, capsys):
    monkeypatch.setattr(output, "room", lambda: os.terminal_size((26, 24)))
    output.say(devices_table.table([FAILED], 26))
    said = capsys.readouterr().out
    assert "DEVICE     berlin-00975" in said
    assert said.count("worker") == 4


def test_elsewhere_every_row_is_whole():
    assert devices_table.table([FAILED], None).rows[0][-1].endswith(FAILED.why)


def test_letters_of_double_width_move_no_column():
    lines = output.columns(("A", "B"), [("猫猫", "x"), ("cat", "y")])
    assert [cell_len(line[: line.index(end)]) for line, end in zip(lines, "Bxy", strict=True)] == [6, 6, 6]


TABLE = output.Table(
    ("NAME", "FROM", "WHAT"), [("birds\x1b[2J", "shipped", "w" * 70), ("cats", "fetched", "y")]
)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_a_table_is_no_wider_than_the_terminal_and_loses_nothing(width, monkeypatch, capsys):
    monkeypatch.setattr(output, "room", lambda: os.terminal_size((width, 24)))
    output.say(TABLE)
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= width
    assert said.count("w") == 70
    assert "\x1b" not in said
    assert ("NAME  birds" in said) is (width == 20)


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_that_knows_only_lines_gets_lines(term, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", term)
    assert output.room() is None
