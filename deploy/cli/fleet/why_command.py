"""`shoal why`: the one reason for which a device runs what it runs."""

import textwrap
from argparse import ArgumentParser, Namespace
from typing import Final

from msgspec.structs import replace

from agent.wire import topics
from agent.wire.topics import MAIN
from deploy.assemble.desk import sight, workspaces
from deploy.assemble.desk.sight import Sight
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.core.devices import why
from deploy.core.devices.why import Explained
from deploy.core.refusal import Refused
from deploy.core.spans import span
from deploy.flows.devices import Patience

WIDTH: Final = 110

EPILOG = """\
examples:
  shoal why pi-7
  shoal why pi-7/door --offline
  shoal why pi-7 --json | jq -r '.remedy'

The code is that of the device where it said one, such as low-disk, veto or known-bad; or it tells what the
signed plan means for it, such as outside-cut, not-matched or paused; or how far it has come: plan-not-seen,
waiting, downloading, in-trial, on-probation, serving-candidate, serving-stable, taken-back; or offline,
never-seen, expelled, not-believed.

exit status: 0 explained, whatever the reason; 1 nobody knows the device, or the fleet could not be read;
2 wrong usage; 78 a file or an option must change, or --offline and nothing was ever read here
"""


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "device", metavar="DEVICE[/PIPELINE]", help="the id of one device; main is the pipeline by default"
    )
    command.add_stream(parser)
    parser.add_argument(
        "--offline", action="store_true", help="do without the broker: from what was read here the last time"
    )
    command.add_json(parser)


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    text, _, pipeline = options.device.partition("/")
    device = topics.device_id(text)
    seen = sight.remember(workspace) if options.offline else sight.look_at(workspace, device, Patience())
    found = _explained(seen, device, pipeline or MAIN, options.stream or workspace.settings.fleet.stream)
    if options.json:
        output.say_json(found)
        return 0
    output.say(*map(output.printable, _said(found)))
    if options.offline:
        output.note(f"as it was read at {seen.picture.at:%Y-%m-%d %H:%M:%S} UTC")
    for missing in seen.picture.missing:
        output.note(f"incomplete: {missing}")
    return 0


def _explained(seen: Sight, device: str, pipeline: str, stream: str) -> Explained:
    """With a word of the other pipelines, if it is `main`.

    Raises:
        Refused: nobody knows the device, or it has no such pipeline.
    """
    if device not in seen.ids():
        raise Refused(_nobody(device, seen))
    pipelines, case_of = seen.pipelines(device), seen.cases(stream)
    if pipeline not in pipelines:
        raise Refused(f"{device} tells of no pipeline {pipeline}: there is {', '.join(pipelines)}")
    if pipeline != MAIN:
        return why.explain(f"{device}/{pipeline}", case_of(device, pipeline))
    others = ((each, why.explain(device, case_of(device, each))) for each in pipelines if each != MAIN)
    further = (f"pipeline {each}: {of.code}, {of.why} (shoal why {device}/{each})" for each, of in others)
    found = why.explain(device, case_of(device, MAIN))
    return replace(found, besides=(*found.besides, *further))


def _nobody(device: str, seen: Sight) -> str:
    like = why.nearest(device, seen.ids())
    advice = f"did you mean {' or '.join(like)}?" if like else "shoal devices shows those that are known"
    return f"no device is named {device}: {advice}"


def _said(found: Explained) -> list[str]:
    besides = (f"besides: {each}" for each in found.besides)
    remedy = (f"to do: {found.remedy}",) if found.remedy else ()
    said = (found.why, *remedy, *besides, ", ".join(_facts(found)))
    wrapped = (textwrap.wrap(each, WIDTH, initial_indent="  ", subsequent_indent="    ") for each in said)
    return [f"{found.device}: {found.code}", *(line for lines in wrapped for line in lines)]


def _facts(found: Explained) -> list[str]:
    seen = "no plan seen" if found.seen_serial is None else f"plan {found.seen_serial} seen"
    newest = "" if found.plan_serial in {None, found.seen_serial} else f" of {found.plan_serial}"
    facts = (
        "online" if found.online else "offline",
        f"runs {found.serves}" if found.serves else "runs nothing",
        f"phase {found.phase}" if found.phase else "",
        f"counted as {found.standing}" if found.standing else "",
        seen + newest,
        "" if found.reported_s is None else f"reported {span(found.reported_s)} ago",
    )
    return [fact for fact in facts if fact]


COMMAND = Command(
    "why",
    "say why a device runs what it runs",
    add_options,
    run,
    EPILOG,
    also=("devices", "history", "command"),
)
