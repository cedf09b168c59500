"""`shoal rollout status`: where a rollout stands, by the ledger."""

from argparse import ArgumentParser, Namespace

from msgspec import Struct, structs

from agent.wire.documents import Plan
from deploy.assemble.controller import rollouts
from deploy.assemble.desk import workspaces
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.core.rollouts import approvals
from deploy.core.rollouts.state import Rollout
from deploy.core.rollouts.words import Judgement, Order, Outcome, Tally


class Answer(Struct, frozen=True, kw_only=True):
    rollout: str
    order: Order
    wave: int
    paused: bool
    aborted: str | None
    withdrawn: tuple[str, ...]
    outcome: Outcome | None
    judgement: Judgement | None
    plan: Plan | None


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    command.add_rollout(parser, "the newest of each stream")
    command.add_json(parser)


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    found = rollouts.known(workspace, options.rollout)
    if options.json:
        output.say_json([answer(each) for each in found])
    else:
        output.say(*(line for each in found for line in said(each)))
    return 0


def answer(rollout: Rollout) -> Answer:
    return Answer(
        rollout=rollout.name,
        order=rollout.order,
        wave=rollout.wave,
        paused=rollout.paused,
        aborted=rollout.aborted,
        withdrawn=rollout.withdrawn,
        outcome=rollout.outcome,
        judgement=rollout.judgement,
        plan=rollout.plan,
    )


def said(rollout: Rollout) -> list[str]:
    order, plan = rollout.order, rollout.plan
    named = f"{order.release.name}@{order.release.version}"
    lines = [
        f"rollout {rollout.name} of stream {order.stream}: {named}, {stands(rollout)}",
        f"  waves: {_marked(rollout)}",
    ]
    if plan is not None:
        back = f"{plan.stable.name}@{plan.stable.version}" if plan.stable else "none"
        lines.append(f"  plan {plan.serial}, stable {back}")
    if rollout.withdrawn:
        lines.append(f"  taken back from {', '.join(rollout.withdrawn)}")
    return [*lines, *_judged(rollout)]


def _judged(rollout: Rollout) -> list[str]:
    """What was found before it was taken back holds no more: devices have left it since."""
    judged = rollout.judgement
    if judged is None:
        waits = rollout.outcome is None and rollout.plan is not None
        return ["  gate: nobody has looked yet: shoal serve does"] if waits else []
    then = ", before it was taken back" if rollout.aborted is not None else ""
    return [
        f"  devices{then}: {_counts(judged.tally)}",
        f"  gate{then}: {judged.verdict}: {output.printable(judged.words)}",
    ]


def _counts(tally: Tally) -> str:
    counts = {name: len(devices) for name, devices in structs.asdict(tally).items() if devices}
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none yet"


def stands(rollout: Rollout) -> str:
    """In a few words."""
    if rollout.aborted is not None:
        return f"{'taken back and revoked' if rollout.revoke else 'taken back'}: {rollout.aborted}"
    if rollout.outcome is not None:
        return rollout.outcome.value
    if rollout.wave < 0:
        awaited = approvals.awaited(rollout)
        return f"not begun{', ' if awaited else ''}{awaited}"
    where = f"at wave {rollout.order.waves[rollout.wave]}"
    return f"{where}, paused" if rollout.paused else where


def _marked(rollout: Rollout) -> str:
    return ", ".join(
        f"[{wave}]" if number == rollout.wave else wave for number, wave in enumerate(rollout.order.waves)
    )


EPILOG = """\
examples:
  shoal rollout status
  shoal rollout status birds-1.4.0 --json | jq '.[0].judgement.words'
"""

COMMAND = Command("status", "show where rollouts stand", add_options, run, EPILOG, also=("watch", "devices"))
