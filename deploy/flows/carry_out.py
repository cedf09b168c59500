"""Does what the ledger says: idempotent, and done again until it stands."""

import logging

from agent.wire.documents import Plan, ReleaseRef
from agent.wire.errors import ConfigError
from deploy.core.noted import Head
from deploy.core.rollouts import standing
from deploy.core.rollouts.state import Fleet
from deploy.ports.repository import Repository

log = logging.getLogger(__name__)


def sign(repository: Repository, fleet: Fleet, noted: Head | None = None) -> tuple[Plan, ...]:
    """Sign every plan that is to stand and is not signed yet; those that were signed now.

    `noted` is as in `Repository.set_plan`.

    Raises:
        ConfigError: another plan of the same serial was signed, or the online keys are not at hand.
    """
    fresh: list[Plan] = []
    for plan in standing.plans(fleet).values():
        signed = repository.plan(plan.stream)
        if signed is None or signed.serial < plan.serial:
            repository.set_plan(plan, noted)
            log.info("plan.signed", extra={"stream": plan.stream, "serial": plan.serial})
            fresh.append(plan)
        elif signed.serial == plan.serial and signed != plan:
            raise ConfigError(
                f"plan {plan.stream} with serial {plan.serial} was signed with other content than the ledger "
                "decided: one of ledger.sqlite and repository/ was restored from another time, or two "
                "controllers worked on them; shoal rollout revert decides anew"
            )
    return tuple(fresh)


def needed(plan: Plan) -> tuple[ReleaseRef, ...]:
    """The releases whose files must stand before the plan may: of one that lets nobody begin, none, because
    a plan that holds or takes back must not wait for them.
    """
    if plan.candidate is None or plan.paused:
        return ()
    return tuple(ref for ref in (plan.candidate, plan.stable) if ref is not None)
