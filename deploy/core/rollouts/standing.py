"""What is to stand on the broker, by what the ledger says."""

from agent.wire.documents import Plan
from deploy.core.rollouts.state import Fleet


def plans(fleet: Fleet) -> dict[str, Plan]:
    """The newest plan of every stream that a rollout ever steered."""
    newest: dict[str, Plan] = {}
    for rollout in fleet.rollouts.values():
        plan = rollout.plan
        if plan is not None and (plan.stream not in newest or newest[plan.stream].serial < plan.serial):
            newest[plan.stream] = plan
    return newest


def newer(decided: Plan | None, signed: Plan | None) -> Plan | None:
    """The plan that the next one follows: what was decided counts before it is signed, and what was signed
    before there was a ledger counts too.
    """
    if decided is None or signed is None:
        return decided or signed
    return decided if decided.serial >= signed.serial else signed
