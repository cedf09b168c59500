from datetime import UTC, datetime

import pytest

from agent.wire.commands import Answer, Checked, Finding, FrameSent, Lines, Looked, Paced
from agent.wire.reports import Presence
from deploy.cli import main
from deploy.cli.fleet import remote_command
from deploy.cli.fleet.remote_command import silence, words
from deploy.cli.output import Table
from deploy.flows.ask import Silent

AT = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
FRAME = FrameSent(digest="ab" * 32, length=2_048, height_px=240, width_px=320, sequence=7, captured_at=AT)
MEASURED = "it is being measured anew; shoal devices shows what comes of it"
FINDINGS = (
    Finding(name="camera", severity="fatal", cause="no camera answers", remedy="plug one in"),
    Finding(name="clock", severity="ok", cause="it follows a time source"),
)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (FRAME, ["pi.jpg: 320 x 240, 2048 bytes, taken at 2026-06-01 12:30:00 UTC"]),
        (Lines(lines=("one", "tw\x1bo")), ["one", "tw\N{REPLACEMENT CHARACTER}o"]),
        (Lines(lines=()), ["pi has logged nothing yet"]),
        (
            Checked(status=78, findings=FINDINGS),
            [
                "pi needs a person",
                Table(
                    ("SEVERITY", "WHAT", "CAUSE AND REMEDY"),
                    [
                        ("fatal", "camera", "no camera answers -> plug one in"),
                        ("ok", "clock", "it follows a time source"),
                    ],
                ),
            ],
        ),
        (Looked(delegate="edgetpu", delegate_reason="faster"), ["pi computes on edgetpu: faster", MEASURED]),
        (
            Paced(paused=True),
            ["pi classifies nothing until shoal command pi resume, or until it restarts"],
        ),
        (Paced(paused=False), ["pi classifies again"]),
    ],
)
def test_every_result_is_told_in_words(result, said):
    assert words("pi", Answer(id="ab" * 16, at=AT, result=result), "pi.jpg") == said


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (None, "no device of this id has ever reported here"),
        (Presence.OFFLINE, "it is offline, and commands do not wait"),
        (Presence.ONLINE, "it is online, so either it takes no commands"),
    ],
)
def test_silence_is_one_sentence(status, why):
    said = silence("pi", Silent(status, 3.2))
    assert said.startswith(f"no answer from pi within 3 s: {why}")
    assert "\n" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["pi"],
        ["pi", "dance"],
        ["pi", "log", "--lines", "0"],
        ["pi", "log", "--lines", "401"],
        ["pi", "frame", "--side-px", "9"],
        ["pi", "pause", "--wait", "soon"],
    ],
)
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(["command", *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err


def test_a_time_that_is_none_is_refused_before_anything_is_signed(capsys):
    assert main.main(["command", "pi", "log", "--wait", "0"]) == 1
    assert "--wait 0: give a number of seconds above 0" in capsys.readouterr().err


def test_every_verb_is_explained():
    assert all(f"shoal command pi-1 {verb}" in remote_command.EPILOG for verb in ("frame", "log", "check"))
