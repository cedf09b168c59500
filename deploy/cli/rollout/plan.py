"""`shoal rollout plan`: what a start would do, and nothing done."""

from argparse import ArgumentParser, Namespace

from deploy.assemble.controller import rollouts
from deploy.assemble.desk import workspaces
from deploy.cli import output
from deploy.cli.command import Command
from deploy.cli.output import Said
from deploy.cli.rollout import asking
from deploy.core.release import scored
from deploy.core.rollouts.preview import Preview, WaveAhead
from deploy.core.rollouts.words import Order
from deploy.core.spans import listed, span, volume

HEADINGS = ("WAVE", "JOIN", "IN ALL", "ONLINE", "CLASSES", "EACH", "TOGETHER", "TAKES", "SEES", "OVERLOOKS")
NAMED_MAX = 12


def add_options(parser: ArgumentParser) -> None:
    asking.add_options(parser)
    parser.add_argument("--all-devices", action="store_true", help="name every device of every wave")


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    found = rollouts.preview(workspace, asking.wanted(options, workspace))
    if options.json:
        output.say_json(found)
    else:
        output.say(*_said(found, None if options.all_devices else NAMED_MAX))
    return 0


def _said(found: Preview, named_max: int | None) -> list[Said]:
    order = found.order
    stable = f"{order.stable.name}@{order.stable.version}" if order.stable else "none yet"
    lines: list[Said] = [
        f"{order.release.name}@{order.release.version} on stream {order.stream}, stable {stable}",
        scored.in_words(found.evaluation) or "of its accuracy nothing is known: release it with --evaluation",
        *([f"only where {' & '.join(order.match)}"] if order.match else []),
        "",
        output.Table(HEADINGS, [_cells(wave) for wave in found.waves]),
        "",
        *(line for wave in found.waves for line in _devices(wave, named_max)),
    ]
    for ids, words in (
        (found.never, "in no wave"),
        (found.unmatched, "do not match, and keep what they run"),
        (found.unknown, "have not told their hardware yet, and are not counted"),
    ):
        if ids:
            lines.append(f"{len(ids)} {words}: {listed([str(each) for each in ids], named_max)}")
    return [
        *lines,
        *_held(found, named_max),
        "",
        "SEES: the smallest share of failing devices that the gate notices after the wave, with 95 %;",
        "OVERLOOKS: the largest that it lets pass, with 95 %.",
        *_hurry(order),
        f"Nothing was published. These very waves: shoal rollout start ... --salt {order.salt}",
    ]


def _held(found: Preview, named_max: int | None) -> list[str]:
    """Devices that will not run it, by why not."""
    by_why: dict[str, list[str]] = {}
    for each in found.barred:
        by_why.setdefault(each.detail, []).append(str(each.device))
    return [
        f"{len(ids)} will hold it: {detail}: {listed(ids, named_max)}"
        for detail, ids in sorted(by_why.items())
    ]


def _hurry(order: Order) -> list[str]:
    if order.policy.gate.soak_s or len(order.waves) == 1:
        return []
    return [
        "A wave follows as soon as the gate agrees: --soak-s 3600 looks at each for an hour, for late faults."
    ]


def _cells(wave: WaveAhead) -> tuple[str, ...]:
    each = sorted({joining.download_bytes for joining in wave.joining})
    signed = f" +{wave.signatures} signed" if wave.signatures else ""
    return (
        f"{wave.wave}{signed}",
        str(len(wave.joining)),
        str(wave.devices),
        str(wave.online),
        " ".join(f"{hardware}:{count}" for hardware, count in wave.classes.items()) or "-",
        "-" if not each else " to ".join(dict.fromkeys((volume(each[0]), volume(each[-1])))),
        volume(wave.download_bytes),
        "as the line" if wave.seconds is None else span(wave.seconds),
        "-" if wave.sees_share is None else f"{wave.sees_share:.1%}",
        f"{wave.misses_share:.1%}",
    )


def _devices(wave: WaveAhead, named_max: int | None) -> list[str]:
    told = [f"{each.device}{'' if each.online else ' (offline)'}" for each in wave.joining]
    return [f"wave {wave.wave}: {listed(told, named_max) or 'nobody'}"]


COMMAND = Command(
    "plan",
    "show which devices each wave would have, and publish nothing",
    add_options,
    run,
    asking.PLAN_EXAMPLES,
    also=("rollout start",),
)
