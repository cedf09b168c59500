"""`shoal rollout` and `shoal revert`: who runs what."""

import typing
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from fractions import Fraction

import msgspec
from msgspec import Struct

from agent.wire.documents import Plan, ProbationPolicy, ReleaseRef, TrialPolicy
from deploy.assemble import steering, workspaces
from deploy.assemble.steering import Order
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.core import plans
from deploy.core.refusal import Refused
from deploy.flows.rollout import RolledOut

P = typing.TypeVar("P", TrialPolicy, ProbationPolicy)

WORDS = {
    "invoke_budget_ms": "slowest invoke() allowed on the golden frames, 95th percentile, in milliseconds",
    "latency_ratio_max": "slowest allowed, as a multiple of the running model",
    "shadow_frames": "live frames that it must see beside the running model",
    "agreement_min": "share of sure answers of the running model that it must share, 0 to 1",
    "timeout_s": "seconds that the trial may take",
    "healthy_windows": "healthy windows before it is committed",
    "window_frames": "frames in a window",
    "error_share_max": "share of frames that may fail, 0 to 1",
}

EPILOG = """\
examples:
  shoal rollout birds --to 5%          the newest version to one device in twenty, at least to one
  shoal rollout birds@1.3.0 --to all   everybody
  shoal rollout birds --to 10% --match hardware=edgetpu --match tag=garden

Widening a rollout keeps the devices that have the candidate. A candidate that was offered to all becomes
stable when the next one is rolled out, and stable is what shoal revert goes back to.
"""


class Answer(Struct, frozen=True, kw_only=True):
    plan: Plan
    devices: tuple[str, ...]
    known: int


class RevertAnswer(Struct, frozen=True, kw_only=True):
    plan: Plan
    withdrawn: ReleaseRef


def share(text: str) -> Fraction:
    try:
        return plans.parse_share(text)
    except Refused as error:
        raise ArgumentTypeError(str(error)) from error


def add_rollout_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "release", metavar="NAME[@VERSION]", help="the release; its newest version by default"
    )
    parser.add_argument(
        "--to", required=True, type=share, metavar="all|N%", help="share of the fleet that gets it"
    )
    command.add_stream(parser)
    parser.add_argument(
        "--match",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only devices with hardware=, tag= or id= of this value; may be repeated, all must hold",
    )
    parser.add_argument(
        "--spread-s",
        type=float,
        default=0.0,
        metavar="S",
        help="devices begin at moments spread over so many seconds (default: 0)",
    )
    add_policy(parser, "trial", TrialPolicy, "what the candidate must show before it is activated")
    add_policy(parser, "probation", ProbationPolicy, "what it must show before it is committed")
    command.add_json(parser)


def add_policy(parser: ArgumentParser, prefix: str, policy: type[P], summary: str) -> None:
    """One option for each field of the policy."""
    group = parser.add_argument_group(prefix, summary)
    for field in msgspec.structs.fields(policy):
        group.add_argument(
            f"--{prefix}-{field.name.replace('_', '-')}",
            type=_number(field.default),
            default=field.default,
            metavar="N",
            help=f"{WORDS[field.name]} (default: {field.default})",
        )


def _number(default: float) -> Callable[[str], float]:
    return int if isinstance(default, int) else float


def policy(options: Namespace, prefix: str, kind: type[P]) -> P:
    """
    Raises:
        Refused: a value is outside what devices accept.
    """
    given = {name: getattr(options, f"{prefix}_{name}") for name in kind.__struct_fields__}
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise Refused(f"--{prefix} options: {error}") from error


def run_rollout(options: Namespace) -> int:
    if any("=" not in expression for expression in options.match):
        raise Refused("--match takes KEY=VALUE, such as hardware=edgetpu")
    if not 0 <= options.spread_s < float("inf"):
        raise Refused("--spread-s takes a number of seconds, 0 or more")
    workspace = workspaces.find(options.workspace)
    order = Order(
        release=options.release,
        stream=options.stream or workspace.settings.fleet.stream,
        share=options.to,
        match=tuple(options.match),
        spread_s=options.spread_s,
        trial=policy(options, "trial", TrialPolicy),
        probation=policy(options, "probation", ProbationPolicy),
    )
    with output.progress("publishing") as on_progress:
        done = steering.roll_out(workspace, order, on_progress)
    if options.json:
        output.say_json(Answer(plan=done.plan, devices=done.chosen, known=done.known))
    else:
        output.say(*_said(done, order))
    return 0


def _said(done: RolledOut, order: Order) -> list[str]:
    plan, to = done.plan, done.candidate
    reach = (
        "every device" if order.share == plans.EVERYONE else f"{float(order.share * 100):g} % of the fleet"
    )
    lines = [f"plan {plan.serial} of stream {plan.stream}: {to.name}@{to.version} to {reach}"]
    if done.known == 0 and order.share != plans.EVERYONE:
        lines.append("  no device is known yet: each will find by its hash whether it belongs")
    if done.known:
        named = ", ".join(done.chosen[:10]) + (", ..." if len(done.chosen) > 10 else "")
        lines.append(f"  {len(done.chosen)} of {done.known} known devices{': ' + named if named else ''}")
    if plan.match:
        lines.append(f"  only where {' and '.join(plan.match)}")
    stable = plan.stable
    lines.append(
        f"  stable: {stable.name}@{stable.version}, for all others and for shoal revert"
        if stable
        else "  stable: none yet, so there is nothing that shoal revert could go back to"
    )
    return [*lines, "published; see shoal devices"]


def add_revert_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    command.add_stream(parser)
    parser.add_argument(
        "--revoke",
        action="store_true",
        help="and never let any device begin the candidate's files again, whatever plan comes later",
    )
    command.add_json(parser)


def run_revert(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    stream = options.stream or workspace.settings.fleet.stream
    undo = steering.take_back_and_revoke if options.revoke else steering.take_back
    with output.progress("publishing") as on_progress:
        done = undo(workspace, stream, on_progress)
    if options.json:
        output.say_json(RevertAnswer(plan=done.plan, withdrawn=done.withdrawn))
        return 0
    gone, stable = done.withdrawn, done.plan.stable
    output.say(
        f"plan {done.plan.serial} of stream {stream}: {gone.name}@{gone.version} is withdrawn"
        + (" and revoked" if options.revoke else ""),
        f"  every device goes back to {stable.name}@{stable.version}"
        if stable
        else "  there is no stable release: devices that run it keep it, and no other will begin it",
        "published; see shoal devices",
    )
    return 0


ROLLOUT = Command(
    "rollout", "offer a release to a share of the fleet", add_rollout_options, run_rollout, EPILOG
)
REVERT = Command("revert", "take the candidate back from every device", add_revert_options, run_revert)
