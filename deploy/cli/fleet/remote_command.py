"""`shoal command`: ask one device for a picture, its log, an examination; pause it and let it go on."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from agent.wire.commands import (
    Action,
    Answer,
    Check,
    Checked,
    Frame,
    FrameSent,
    Lines,
    Log,
    Look,
    Looked,
    Paced,
    Pause,
    Resume,
)
from agent.wire.errors import Unavailable
from agent.wire.reports import Presence
from agent.wire.topics import MAIN
from deploy.adapters import workspace as files
from deploy.assemble.desk import asking, workspaces
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.output import Said
from deploy.core.refusal import Refused
from deploy.flows.ask import Answered, Silent

EPILOG = """\
examples:
  shoal command pi-1 frame --out door.jpg    what its camera sees now
  shoal command pi-1 log --lines 40          the newest lines of its log
  shoal command pi-1 check                   as shoal-agent check there
  shoal command pi-1 look                    look for an Edge TPU anew, and measure anew
  shoal command pi-1 pause                   classify nothing until resume, or until the agent starts again

The command is signed with the online key of the rollouts. A device refuses what is not, what is older than
two minutes, and what it was asked before; [commands] in its configuration switches them off.
"""


class Verb(StrEnum):
    FRAME = "frame"
    LOG = "log"
    CHECK = "check"
    LOOK = "look"
    PAUSE = "pause"
    RESUME = "resume"


WAIT_S = {Verb.CHECK: 300.0, Verb.LOOK: 120.0}
WAIT_OTHERS_S = 15.0


class Told(Struct, frozen=True, kw_only=True):
    device: str
    answer: Answer
    file: str | None = None
    """Where the frame was written."""


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument("device", metavar="DEVICE", help="the id of one device")
    parser.add_argument("verb", choices=command.names(Verb), metavar="|".join(Verb), help="what it shall do")
    parser.add_argument(
        "--pipeline", default=MAIN, metavar="NAME", help=f"which of its pipelines (default: {MAIN})"
    )
    parser.add_argument(
        "--lines", type=_within(1, 400), default=100, metavar="N", help="log: at most so many (default: 100)"
    )
    parser.add_argument(
        "--side-px",
        type=_within(16, 4096),
        default=640,
        metavar="N",
        help="frame: longest side of the picture (default: 640)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="frame: where the JPEG goes (default: DEVICE.jpg)"
    )
    parser.add_argument(
        "--wait",
        type=float,
        metavar="S",
        help="seconds to wait for the answer (default: 15; look 120, check 300)",
    )
    command.add_json(parser)


def _within(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
            raise ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return int(text)

    return number


def run(options: Namespace) -> int:
    verb = Verb(options.verb)
    wait_s = WAIT_S.get(verb, WAIT_OTHERS_S) if options.wait is None else options.wait
    if not 0 < wait_s <= 3600:
        raise Refused(f"--wait {wait_s:g}: give a number of seconds above 0, at most 3600")
    workspace = workspaces.find(options.workspace)
    heard = asking.ask(workspace, options.device, options.pipeline, _action(verb, options), wait_s)
    if isinstance(heard, Silent):
        raise Unavailable(silence(options.device, heard))
    file = _keep(heard, options)
    if options.json:
        output.say_json(Told(device=options.device, answer=heard.answer, file=file))
    elif heard.answer.refused is None:
        output.say(*words(options.device, heard.answer, file))
    if heard.answer.refused is not None:
        raise Refused(f"{options.device} refused: {output.printable(heard.answer.detail)}")
    return 0


def _action(verb: Verb, options: Namespace) -> Action:
    match verb:
        case Verb.FRAME:
            return Frame(side_px=options.side_px)
        case Verb.LOG:
            return Log(lines=options.lines)
        case Verb.CHECK:
            return Check()
        case Verb.LOOK:
            return Look()
        case Verb.PAUSE:
            return Pause()
        case Verb.RESUME:
            return Resume()


def _keep(heard: Answered, options: Namespace) -> str | None:
    """Write the frame that was sent; where to.

    Raises:
        Unavailable: the answer speaks of a frame that did not arrive.
        StoreFailed: the disk refused.
    """
    if not isinstance(heard.answer.result, FrameSent):
        return None
    if heard.jpeg is None:
        raise Unavailable(f"{options.device} sent a frame, which the broker did not deliver: ask again")
    suffix = "" if options.pipeline == MAIN else f"-{options.pipeline}"
    path = options.out or Path(f"{options.device}{suffix}.jpg")
    files.write_file(path, heard.jpeg)
    return str(path)


def silence(device: str, heard: Silent) -> str:
    """In one sentence, why there is no answer, as far as one can know from here."""
    waited = f"no answer from {device} within {heard.waited_s:.0f} s"
    match heard.status:
        case None:
            return (
                f"{waited}: no device of this id has ever reported here; shoal devices lists those that did"
            )
        case Presence.OFFLINE:
            return (
                f"{waited}: it is offline, and commands do not wait for a device; ask again when it is back"
            )
        case Presence.ONLINE:
            return (
                f"{waited}: it is online, so either it takes no commands ([commands] enabled = false), it "
                "trusts another root, or it is busy; its log says which"
            )


def words(device: str, answer: Answer, file: str | None) -> list[Said]:
    """What the device did, for people."""
    match answer.result:
        case FrameSent() as frame:
            taken = f"{frame.captured_at:%Y-%m-%d %H:%M:%S} UTC"
            return [f"{file}: {frame.width_px} x {frame.height_px}, {frame.length} bytes, taken at {taken}"]
        case Lines(lines=lines):
            return [output.printable(line) for line in lines] or [f"{device} has logged nothing yet"]
        case Checked() as checked:
            return _findings(device, checked)
        case Looked(delegate=delegate, delegate_reason=reason):
            told = output.printable(": ".join(filter(None, (delegate or "nothing", reason))))
            return [
                f"{device} computes on {told}",
                "it is being measured anew; shoal devices shows what comes of it",
            ]
        case Paced(paused=True):
            return [f"{device} classifies nothing until shoal command {device} resume, or until it restarts"]
        case Paced():
            return [f"{device} classifies again"]
        case None:
            return [f"{device} did it"]


def _findings(device: str, checked: Checked) -> list[Said]:
    rows = [
        (found.severity, found.name, output.printable(" -> ".join(filter(None, (found.cause, found.remedy)))))
        for found in checked.findings
    ]
    can = "can serve" if checked.status == 0 else "needs a person"
    return [f"{device} {can}", output.Table(("SEVERITY", "WHAT", "CAUSE AND REMEDY"), rows)]


COMMAND = Command(
    "command",
    "ask one device for something, by a signed command",
    add_options,
    run,
    EPILOG,
    also=("why", "devices"),
)
