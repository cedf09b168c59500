"""What a device calls things reaches the operator's terminal as letters, and as nothing else."""

from msgspec.structs import replace

from deploy.cli import output
from deploy.cli.fleet import devices_table

EVIL = "\x1b[2J\x1b]0;owned\x07\nforged  yes\u202e"
ROW = devices_table.Row(device="cam", online=True)


def test_in_the_table_of_devices_every_cell_is_one_line_without_a_command(capsys):
    fields = {
        "running": EVIL,
        "delegate": EVIL,
        "candidate": EVIL,
        "code": EVIL,
        "why": EVIL,
        "degraded": EVIL,
    }
    output.say(devices_table.table([replace(ROW, tags=(EVIL,), camera_detail=EVIL, **fields)], None))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_a_long_name_moves_no_column_far(capsys):
    row = replace(ROW, running="x" * 9_000, tags=("t" * 9_000,), why="y" * 300)
    output.say(devices_table.table([row], None))
    heading, line = capsys.readouterr().out.splitlines()
    assert len(heading) < 300
    assert line.endswith("y" * 300)


def test_whatever_is_said_or_noted_or_complained_of_commands_no_terminal(capsys):
    output.say(f"a {EVIL}", "b")
    output.note(f"c {EVIL}")
    output.complain(EVIL)
    said = capsys.readouterr()
    assert all(letter.isprintable() or letter == "\n" for letter in said.out + said.err)
    assert said.out.splitlines()[-1] == "b"
