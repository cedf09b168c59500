"""What `shoal rollout plan` and `shoal rollout start` are asked with."""

import typing
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.wire.documents import ProbationPolicy, TrialPolicy
from deploy.adapters.workspace import Workspace
from deploy.assemble.controller import rollouts
from deploy.assemble.controller.rollouts import Wanted
from deploy.cli import command
from deploy.core import names
from deploy.core.refusal import Refused
from deploy.core.rollouts import matching, sizes
from deploy.core.rollouts.words import Policy

P = typing.TypeVar("P", TrialPolicy, ProbationPolicy)

WAVES = "1,5%,25%,100%"

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

EPILOG = f"""\
waves:
  {WAVES}   one device, then so many of a hundred, then everybody; each when the gate agrees
  all             everybody at once

match:
  --match 'hardware=edgetpu & tag=line-3,line-4 & id!=pi-7'
Keys are hardware, tag and id; all terms must hold. Devices that do not match keep what they run.

The policy is a TOML file, where all has a default; the options count before it:
  windows = ["mon-fri 02:00-05:00"]   when devices may begin, in UTC; urgent = true: at any time
  approve = ["100%"]                  waves that need a second person's signature
  spread_s, rate_bytes_s              how devices share the line
  [gate], [trial], [probation]        what the release must show
"""
PLAN_EXAMPLES = f"""\
examples:
  shoal rollout plan birds --waves {WAVES}
  shoal rollout plan birds@1.4.0 --match 'hardware=edgetpu' --json

{EPILOG}"""
START_EXAMPLES = f"""\
examples:
  shoal rollout start birds --waves {WAVES} --soak-s 3600
  shoal rollout start birds@1.4.0 --match 'tag=line-3' --policy careful.toml --why 'ticket 1234'
  shoal rollout start birds --waves all --wait     steer it here, without shoal serve

{EPILOG}"""


def _waves(text: str) -> tuple[str, ...]:
    try:
        return sizes.waves(text)
    except Refused as error:
        raise ArgumentTypeError(str(error)) from error


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "release", metavar="NAME[@VERSION]", help="the release; its newest version by default"
    )
    parser.add_argument(
        "--waves",
        type=_waves,
        default=sizes.waves(WAVES),
        metavar="SIZES",
        help=f"sizes of the waves, see below (default: {WAVES.replace('%', '%%')})",
    )
    command.add_stream(parser)
    parser.add_argument(
        "--match",
        action="append",
        default=[],
        metavar="TERMS",
        help="only devices of this hardware, tag or id; see below; may be repeated, all must hold",
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help="gates, windows and limits; see below")
    parser.add_argument("--name", default="", help="of the rollout (default: the release's)")
    parser.add_argument(
        "--salt", default="", metavar="TEXT", help="makes the waves that shoal rollout plan showed with it"
    )
    parser.add_argument(
        "--spread-s",
        type=float,
        metavar="S",
        help="devices begin at moments spread over so many seconds (default: the policy's, 0)",
    )
    parser.add_argument(
        "--soak-s",
        type=float,
        metavar="S",
        help="look at each wave for so long at least, for faults that come late (default: the policy's, 0)",
    )
    parser.add_argument(
        "--replace",
        default="",
        metavar="WHY",
        help="take back the rollout that is under way on the stream, for this reason, and begin this one",
    )
    _add_limits(parser, "trial", TrialPolicy, "what the candidate must show before it is activated")
    _add_limits(parser, "probation", ProbationPolicy, "what it must show before it is committed")
    command.add_json(parser)


def _add_limits(parser: ArgumentParser, prefix: str, kind: type[P], summary: str) -> None:
    """One option for each field."""
    group = parser.add_argument_group(prefix, summary)
    for field in msgspec.structs.fields(kind):
        group.add_argument(
            f"--{prefix}-{field.name.replace('_', '-')}",
            type=_number(field.default),
            metavar="N",
            help=f"{WORDS[field.name]} (default: {field.default:g})",
        )


def _number(default: float) -> Callable[[str], float]:
    return int if isinstance(default, int) else float


def wanted(options: Namespace, workspace: Workspace, why: str = "") -> Wanted:
    """
    Raises:
        Refused: a value is none that devices accept.
        ConfigError: the policy file cannot be read or says something impossible.
    """
    return Wanted(
        release=options.release,
        stream=names.segment("stream", options.stream or workspace.settings.fleet.stream),
        waves=options.waves,
        match=matching.parse(options.match),
        policy=policy(options),
        name=names.segment("rollout", options.name) if options.name else "",
        salt=options.salt,
        why=why,
        replace=options.replace,
    )


def policy(options: Namespace) -> Policy:
    """The file's, with what the options say in its place.

    Raises:
        Refused: a value is outside what devices accept.
        ConfigError: the file cannot be read or says something impossible.
    """
    read = rollouts.read_policy(options.policy) if options.policy else Policy()
    soak_s = read.gate.soak_s if options.soak_s is None else _seconds("--soak-s", options.soak_s)
    return msgspec.structs.replace(
        read,
        gate=msgspec.structs.replace(read.gate, soak_s=soak_s),
        trial=_limits(options, "trial", read.trial),
        probation=_limits(options, "probation", read.probation),
        spread_s=read.spread_s if options.spread_s is None else _seconds("--spread-s", options.spread_s),
    )


def _seconds(option: str, value: float) -> float:
    if not 0 <= value < float("inf"):
        raise Refused(f"{option} takes a number of seconds, 0 or more")
    return value


def _limits(options: Namespace, prefix: str, read: P) -> P:
    given = {name: getattr(options, f"{prefix}_{name}") for name in read.__struct_fields__}
    said = {name: value for name, value in given.items() if value is not None}
    try:
        return msgspec.convert(msgspec.structs.asdict(read) | said, type(read))
    except msgspec.ValidationError as error:
        words, _, name = str(error).removesuffix("`").partition(" - at `$.")
        option = f"--{prefix}-{name.replace('_', '-')}"
        raise Refused(f"{option} {said.get(name, '')}: {words[:1].lower()}{words[1:]}") from error
