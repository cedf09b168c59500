"""`shoal rollout pause|resume|promote|revert|abort`: an operator's hand on a rollout."""

from argparse import ArgumentParser, Namespace
from functools import partial

from deploy.assemble.controller import rollouts
from deploy.assemble.controller.rollouts import Named, Steer
from deploy.assemble.desk import workspaces
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.rollout import status
from deploy.core.rollouts import orders
from deploy.core.rollouts.state import Rollout


def _add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    command.add_rollout(parser, "the one under way on the stream, else its last")
    command.add_stream(parser)
    command.add_json(parser)


def _add_why(parser: ArgumentParser) -> None:
    _add_options(parser)
    parser.add_argument("--why", default="", metavar="TEXT", help="goes on record")


def _add_revert(parser: ArgumentParser) -> None:
    _add_why(parser)
    parser.add_argument("--hardware", metavar="CLASS", help="this hardware class alone; the others go on")


def _add_promote(parser: ArgumentParser) -> None:
    _add_options(parser)
    parser.add_argument("--force", metavar="WHY", help="whatever the gate says; the reason goes on record")


def _steer(options: Namespace, decide: Steer, why: str) -> Rollout:
    workspace = workspaces.find(options.workspace)
    named = Named(options.rollout, options.stream or workspace.settings.fleet.stream)
    with output.progress("publishing") as on_progress:
        done = rollouts.steer(workspace, named, decide, why, on_progress)
    if options.json:
        output.say_json(status.answer(done))
    else:
        output.say(*status.said(done))
    return done


def _run(decide: Steer, options: Namespace) -> int:
    _steer(options, decide, options.why)
    return 0


def _run_promote(options: Namespace) -> int:
    if options.force is None:
        _steer(options, orders.promote, "")
    else:
        _steer(options, orders.force, options.force)
    return 0


def _run_revert(options: Namespace) -> int:
    decide: Steer = orders.revert
    if options.hardware:
        decide = partial(orders.revert_class, hardware=options.hardware)
    done = _steer(options, decide, options.why)
    if not options.json and not options.hardware:
        output.say(_goes_back(done))
    return 0


def _run_abort(options: Namespace) -> int:
    done = _steer(options, orders.abort, options.why)
    if not options.json:
        output.say(_goes_back(done))
    return 0


def _goes_back(rollout: Rollout) -> str:
    stable = rollout.order.stable
    if rollout.plan is None:
        return "no device was offered it"
    if stable is None:
        return "there is no stable release: devices that run it keep it, and no other will begin it"
    return f"every device goes back to {stable.name}@{stable.version}; see shoal devices"


PAUSE_EPILOG = """\
examples:
  shoal rollout pause --why 'the line is being rebuilt'
  shoal rollout pause birds-1.4.0
"""
RESUME_EPILOG = """\
examples:
  shoal rollout resume
"""
PROMOTE_EPILOG = """\
What the gate said when it looked last decides: where that was not PROMOTE, nothing happens without --force.

examples:
  shoal rollout promote
  shoal rollout promote --force 'the two that are silent are in repair'
"""
REVERT_EPILOG = """\
One publish: each device that runs the release goes back to the stable one at once, without a new trial, those
that come back later too. The release itself may be rolled out again.

examples:
  shoal rollout revert --why 'it takes robins for wrens'
  shoal rollout revert --hardware edgetpu
"""
ABORT_EPILOG = """\
As shoal rollout revert, and every device refuses these files from now on, whatever a later plan says.

examples:
  shoal rollout abort --why 'trained with the wrong labels'
"""
PAUSE = Command(
    "pause",
    "let no further device begin; those that have begun go on",
    _add_why,
    partial(_run, orders.pause),
    PAUSE_EPILOG,
    also=("rollout resume", "rollout revert"),
)
RESUME = Command(
    "resume",
    "let a paused rollout go on",
    _add_why,
    partial(_run, orders.resume),
    RESUME_EPILOG,
    also=("rollout pause",),
)
PROMOTE = Command(
    "promote",
    "let the next wave in",
    _add_promote,
    _run_promote,
    PROMOTE_EPILOG,
    also=("rollout status", "serve"),
)
REVERT = Command(
    "revert",
    "take it back from every device, or from one class",
    _add_revert,
    _run_revert,
    REVERT_EPILOG,
    also=("rollout abort", "devices"),
)
ABORT = Command(
    "abort",
    "take it back everywhere, and refuse its files for ever",
    _add_why,
    _run_abort,
    ABORT_EPILOG,
    also=("rollout revert",),
)
