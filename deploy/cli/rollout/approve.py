"""`shoal rollout approve` and `shoal approver`: a second person's signature."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from deploy.adapters import approval_ed25519
from deploy.assemble.controller import rollouts
from deploy.assemble.desk import workspaces
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.rollout import status


def _add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument("rollout", metavar="ROLLOUT", help="its name")
    parser.add_argument("--wave", required=True, metavar="SIZE", help="as it was ordered, such as 100%%")
    parser.add_argument("--key", required=True, type=Path, metavar="FILE", help="made by shoal approver")
    command.add_json(parser)


def _run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    with output.progress("publishing") as on_progress:
        done = rollouts.approve(workspace, options.rollout, options.wave, options.key, on_progress)
    if options.json:
        output.say_json(status.answer(done))
    else:
        output.say(f"signed for wave {options.wave} of rollout {done.name}", *status.said(done))
    return 0


def _add_file(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="that will hold the key; keep it to yourself")
    command.add_json(parser)


def _make(options: Namespace) -> int:
    key = approval_ed25519.create(options.file)
    if options.json:
        output.say_json({"file": str(options.file), "key": key})
        return 0
    output.say(key)
    output.note("list this key in the fleet's shoal.toml: [approval] keys = [...]")
    return 0


APPROVE_EPILOG = """\
Which waves need it, the policy says: approve = ["100%"].

examples:
  shoal rollout approve birds-1.4.0 --wave 100% --key /mnt/stick/ann.pem
"""
APPROVER_EPILOG = """\
The public half is printed: it belongs into [approval] keys of the fleet's shoal.toml.

examples:
  shoal approver /mnt/stick/ann.pem
"""
COMMAND = Command(
    "approve",
    "sign for a wave as its second person",
    _add_options,
    _run,
    APPROVE_EPILOG,
    also=("approver", "rollout status"),
)
APPROVER = Command(
    "approver",
    "make the key of somebody who signs for waves",
    _add_file,
    _make,
    APPROVER_EPILOG,
    also=("rollout approve",),
)
