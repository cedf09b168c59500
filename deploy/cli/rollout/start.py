"""`shoal rollout start`: the first wave."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence

from msgspec import Struct

from agent.wire.documents import Plan, ReleaseRef
from deploy.adapters.workspace import Workspace
from deploy.assemble.controller import rollouts
from deploy.assemble.controller.rollouts import Begun, Wanted
from deploy.assemble.desk import workspaces
from deploy.cli import output
from deploy.cli.command import Command
from deploy.cli.fleet import serve_command
from deploy.cli.rollout import asking, status
from deploy.core.rollouts import waves
from deploy.core.rollouts.words import Line, Outcome
from deploy.core.spans import listed

NAMED_MAX = 10
ON_ITS_OWN = "published; shoal serve lets further waves in and ends it, shoal rollout status tells"


class Answer(Struct, frozen=True, kw_only=True):
    rollout: str
    release: ReleaseRef
    wave: str
    plan: Plan | None
    """None: a signature is needed before the first wave."""
    devices: tuple[str, ...]
    """That the first wave lets in."""
    known: int


def add_options(parser: ArgumentParser) -> None:
    asking.add_options(parser)
    parser.add_argument("--why", default="", metavar="TEXT", help="goes on record")
    parser.add_argument(
        "--wait", action="store_true", help="steer it until it has ended; exit 1 if it was taken back"
    )


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    wanted = asking.wanted(options, workspace, options.why)
    if options.wait:
        return _stay(workspace, wanted, options)
    with output.progress("publishing") as on_progress:
        begun = rollouts.start(workspace, wanted, on_progress)
    if options.json:
        output.say_json(_answer(begun))
    else:
        output.say(*_said(begun, ON_ITS_OWN))
    return 0


def _stay(workspace: Workspace, wanted: Wanted, options: Namespace) -> int:
    """Interrupted, it leaves the rollout where it is, for whoever serves next."""

    def tell(begun: Begun, lines: Sequence[Line]) -> Callable[[Line], None]:
        if not options.json:
            output.say(*_said(begun, "published; stays until it has ended, Ctrl-C leaves it to shoal serve"))
        return serve_command.teller(lines)

    with output.progress("publishing") as on_progress:
        done = rollouts.start_and_stay(workspace, wanted, on_progress, tell)
    if options.json:
        output.say_json(status.answer(done))
    else:
        output.say(*status.said(done))
    return 0 if done.outcome is Outcome.COMPLETED else 1


def _answer(begun: Begun) -> Answer:
    rollout = begun.rollout
    inside = waves.members(rollout.plan, begun.picture) if rollout.plan else ()
    return Answer(
        rollout=rollout.name,
        release=rollout.order.release,
        wave=rollout.order.waves[0],
        plan=rollout.plan,
        devices=tuple(seen.id for seen in inside),
        known=sum(seen.known for seen in begun.picture.devices),
    )


def _said(begun: Begun, published: str) -> list[str]:
    answer, order = _answer(begun), begun.rollout.order
    to = f"{order.release.name}@{order.release.version}"
    lines = [f"rollout {answer.rollout} of stream {order.stream}: {to} in waves {', '.join(order.waves)}"]
    if order.match:
        lines.append(f"  only where {' & '.join(order.match)}")
    stable = order.stable
    lines.append(
        f"  stable: {stable.name}@{stable.version}, for all others and to go back to"
        if stable
        else "  stable: none yet, so there is nothing to go back to"
    )
    if answer.plan is None:
        sign = f"shoal rollout approve {answer.rollout} --wave {answer.wave} --key FILE"
        return [*lines, f"  wave {answer.wave} waits for a signature: {sign}"]
    named = listed(answer.devices, NAMED_MAX)
    inside = f"{len(answer.devices)} of {answer.known} known devices{': ' + named if named else ''}"
    lines.append(f"  wave {answer.wave}: {inside}")
    return [*lines, published]


COMMAND = Command(
    "start",
    "offer a release to the first wave of the fleet",
    add_options,
    run,
    asking.START_EXAMPLES,
    also=("rollout plan", "watch", "serve", "rollout revert"),
)
