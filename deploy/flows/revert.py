"""Takes the candidate back: every device of the stream returns to `stable`."""

from agent.wire.topics import Digest
from deploy.core import plans
from deploy.core.plans import Reverted
from deploy.flows.rollout import digests
from deploy.ports.repository import Repository


def revert(repository: Repository, stream: str) -> Reverted:
    """Sign the plan without its candidate.

    Raises:
        Refused: there is no candidate to take back.
        ConfigError: the online keys are not at hand.
    """
    return _sign(repository, plans.revert(repository.plan(stream), stream))


def revert_and_revoke(repository: Repository, stream: str) -> Reverted:
    """As `revert`; no device will ever begin the candidate again, under whatever name.

    Files that the stable release shares with the candidate stay allowed.

    Raises:
        Refused: as `revert`.
        ConfigError: as `revert`.
    """
    plan = repository.plan(stream)
    return _sign(repository, plans.revert(plan, stream, _condemned(repository, stream)))


def _condemned(repository: Repository, stream: str) -> frozenset[Digest]:
    plan = repository.plan(stream)
    if plan is None or plan.candidate is None:
        return frozenset()
    spared = digests(repository, plan.stable) if plan.stable is not None else frozenset()
    return digests(repository, plan.candidate) - spared


def _sign(repository: Repository, reverted: Reverted) -> Reverted:
    repository.set_plan(reverted.plan)
    return reverted
