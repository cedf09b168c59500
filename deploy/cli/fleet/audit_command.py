"""`shoal audit`: who decided what, whether that was changed since, and whether it follows."""

from argparse import ArgumentParser, Namespace
from collections import Counter

from msgspec import Struct

from deploy.assemble.controller import auditing
from deploy.assemble.desk import workspaces
from deploy.cli import command, output
from deploy.cli.command import Command, Group
from deploy.core.rollouts.chain import Written
from deploy.core.rollouts.replaying import Agreement

VERIFY_EPILOG = """\
examples:
  shoal audit verify
  shoal audit verify --head "$(cat /mnt/stick/head)"     against a head that was noted elsewhere

Each line of the ledger holds a hash over the one before it, so a line that was edited, deleted, inserted or
moved is found. Who can replace the whole file can write a whole new chain: note the head that this command
prints where nobody changes it, and give it with --head the next time.
"""
SHOW_EPILOG = """\
examples:
  shoal audit show | tail -n 3
  shoal audit show --json | jq '.[].body | fromjson'
"""
REPLAY_EPILOG = """\
examples:
  shoal audit replay
  shoal audit replay --json | jq '.otherwise'

A judgement is a pure function of the rollout and of the picture of the fleet that the ledger keeps with it,
and a plan one of both: each is made again, and must come out as it is written. What a person ordered is only
told.

exit status: 0 every decision follows; 1 one does not, or the ledger could not be read; 2 wrong usage; 78 a
file or an option must change
"""


class Shown(Struct, frozen=True, kw_only=True):
    number: int
    chain: str
    body: str
    """The line's own JSON, as text: whoever changed it may have left something else."""


class Other(Struct, frozen=True, kw_only=True):
    """A decision that was not made again as it is written."""

    line: int
    rollout: str
    agreement: Agreement
    words: str


class Answer(Struct, frozen=True, kw_only=True):
    same: int
    other: int
    unknown: int
    """A person's, or without its picture."""
    otherwise: tuple[Other, ...]


def add_verify_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument("--head", default="", metavar="CHAIN", help="a head that was noted before")
    command.add_json(parser)


def run_verify(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    found = auditing.verify(workspace, options.head)
    if options.json:
        output.say_json({"lines": found.lines, "head": found.head})
    else:
        output.say(f"{found.lines} lines, none of them changed", f"head {found.head}")
    return 0


def add_show_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    command.add_json(parser)


def run_show(options: Namespace) -> int:
    written = auditing.written(workspaces.find(options.workspace))
    if options.json:
        output.say_json([_shown(line) for line in written])
        return 0
    for line in written:
        output.say(output.printable(f"{line.chain} {line.body.decode(errors='replace')}"))
    return 0


def _shown(line: Written) -> Shown:
    return Shown(number=line.number, chain=line.chain, body=line.body.decode(errors="replace"))


def add_replay_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    command.add_json(parser)


def run_replay(options: Namespace) -> int:
    """1 where something was decided otherwise than it follows."""
    replayed = tuple(auditing.replay(workspaces.find(options.workspace)))
    counts = Counter(each.agreement for each in replayed)
    otherwise = tuple(
        Other(line=each.number, rollout=each.rollout, agreement=each.agreement, words=each.words)
        for each in replayed
        if each.agreement is not Agreement.SAME
    )
    same, other, unknown = (counts[each] for each in (Agreement.SAME, Agreement.OTHER, Agreement.UNKNOWN))
    if options.json:
        output.say_json(Answer(same=same, other=other, unknown=unknown, otherwise=otherwise))
    else:
        output.say(
            *(f"{each.line:>5}  {each.agreement}  {each.rollout}  {each.words}" for each in otherwise),
            f"{same} decisions follow again as they are written, {other} do not, {unknown} were a person's "
            "or have lost their picture",
        )
    return 1 if other else 0


GROUP = Group(
    "audit",
    "look whether what was decided was changed, and whether it follows",
    (
        Command("verify", "find a line that was changed", add_verify_options, run_verify, VERIFY_EPILOG),
        Command(
            "show",
            "every line as it stands, its chain first; shoal history says it in words",
            add_show_options,
            run_show,
            SHOW_EPILOG,
        ),
        Command("replay", "decide everything again", add_replay_options, run_replay, REPLAY_EPILOG),
    ),
)
