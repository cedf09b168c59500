"""Steers the fleet: decides with what the broker knows of it, signs, publishes."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from agent.adapters.clock_system import SystemClock
from agent.wire.documents import ProbationPolicy, TrialPolicy
from agent.wire.errors import Unavailable
from deploy.adapters.workspace import Workspace
from deploy.assemble import publishing, workspaces
from deploy.assemble.publishing import OnProgress
from deploy.assemble.session import Session, connected
from deploy.core import fleet, plans
from deploy.core.plans import Known, Reverted, Wave
from deploy.flows import devices, revert, rollout
from deploy.flows.devices import Fleet, Patience
from deploy.flows.rollout import RolledOut
from deploy.ports.repository import Repository

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Order:
    """What the operator asks of a rollout."""

    release: str
    stream: str
    share: Fraction
    match: tuple[str, ...]
    spread_s: float
    trial: TrialPolicy
    probation: ProbationPolicy


def roll_out(workspace: Workspace, order: Order, on_progress: OnProgress) -> RolledOut:
    """Count the fleet, sign the plan and publish it behind the files that it names.

    Raises:
        Refused: there is no such release, or it may not be rolled out.
        PortError: the broker cannot be reached, or does not keep what it acknowledged.
        ConfigError: a setting is wrong, or the online keys are not at hand.
    """
    repository = workspaces.open_repository(workspace)
    wave = Wave(
        order.share, secrets.token_hex(SALT_BYTES), order.match, order.spread_s, order.trial, order.probation
    )
    with connected(workspace) as session:
        known = _known(session, order.share)
        done = rollout.roll_out(repository, order.stream, order.release, wave, known)
        files_of = publishing.manifests(repository, (done.plan.candidate, done.plan.stable))
        with publishing.signed_already():
            publishing.send(session, workspace, repository, files_of, on_progress)
    return done


def _known(session: Session, share: Fraction) -> Known:
    """What the fleet says of itself.

    Raises:
        Unavailable: the fleet could not be read to its end, so a share of it would be wrong.
    """
    found = devices.read_fleet(session.link, session.root)
    if found.incomplete and share != plans.EVERYONE:
        raise Unavailable(
            f"the broker did not deliver the reports of shards {', '.join(found.incomplete)} in time, so a "
            "share of the fleet cannot be counted: try again"
        )
    return Known(fleet.by_hardware(found.devices), fleet.committed(found.devices))


def take_back(workspace: Workspace, stream: str, on_progress: OnProgress) -> Reverted:
    """One small publish that brings every device back to stable.

    Raises:
        Refused: there is no candidate to take back.
        PortError: as `roll_out`.
        ConfigError: as `roll_out`.
    """
    return _undo(workspace, stream, on_progress, revert.revert)


def take_back_and_revoke(workspace: Workspace, stream: str, on_progress: OnProgress) -> Reverted:
    """As `take_back`, and no device will begin the candidate again.

    Raises:
        Refused: as `take_back`.
        PortError: as `roll_out`.
        ConfigError: as `roll_out`.
    """
    return _undo(workspace, stream, on_progress, revert.revert_and_revoke)


def _undo(
    workspace: Workspace, stream: str, on_progress: OnProgress, undo: Callable[[Repository, str], Reverted]
) -> Reverted:
    repository = workspaces.open_repository(workspace)
    with connected(workspace) as session:
        done = undo(repository, stream)
        with publishing.signed_already():
            publishing.send(session, workspace, repository, (), on_progress)
    return done


def read_fleet(workspace: Workspace, wait_s: float) -> tuple[Fleet, datetime]:
    """What the devices have left on the broker, and the instant at which it was read.

    Raises:
        PortError: the broker cannot be reached.
        ConfigError: a setting is wrong.
    """
    with connected(workspace) as session:
        found = devices.read_fleet(session.link, session.root, Patience(wait_s=wait_s))
    return found, SystemClock().now()
