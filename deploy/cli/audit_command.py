"""`shoal audit`: who decided what, whether that was changed since, and whether it follows."""

from argparse import ArgumentParser, Namespace
from collections import Counter

from deploy.assemble import auditing, workspaces
from deploy.cli import command, output
from deploy.cli.command import Command, Group
from deploy.core.rollouts.replaying import Agreement

VERIFY_EPILOG = """\
Each line of the ledger holds a hash over the one before it, so a line that was edited, deleted, inserted or
moved is found. Who can replace the whole file can write a whole new chain: note the head that this command
prints where nobody changes it, and give it with --head the next time.
"""
REPLAY_EPILOG = """\
A judgement is a pure function of the rollout and of the picture of the fleet that the ledger keeps with it,
and a plan one of both: each is made again, and must come out as it is written. What a person ordered is only
told.
"""


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


def run_show(options: Namespace) -> int:
    for line in auditing.written(workspaces.find(options.workspace)):
        output.say(output.printable(f"{line.chain} {line.body.decode(errors='replace')}"))
    return 0


def add_replay_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)


def run_replay(options: Namespace) -> int:
    """1 where something was decided otherwise than it follows."""
    counts: Counter[Agreement] = Counter()
    for each in auditing.replay(workspaces.find(options.workspace)):
        counts[each.agreement] += 1
        if each.agreement is not Agreement.SAME:
            output.say(output.printable(f"{each.number:>5}  {each.agreement}  {each.rollout}  {each.words}"))
    output.say(
        f"{counts[Agreement.SAME]} decisions follow again as they are written, {counts[Agreement.OTHER]} do "
        f"not, {counts[Agreement.UNKNOWN]} were a person's or have lost their picture"
    )
    return 1 if counts[Agreement.OTHER] else 0


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
        ),
        Command("replay", "decide everything again", add_replay_options, run_replay, REPLAY_EPILOG),
    ),
)
