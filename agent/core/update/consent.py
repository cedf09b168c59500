"""Whether a device may begin now what the plan gives it.

Download, trial and activation are begun together, so what holds one of them holds all.
What has begun goes on.

- A paused plan holds its candidate; the stable release is offered in its place.
- A window that is closed, of the plan or of the device itself, holds everything, unless the plan is urgent.
- A veto on the device holds everything, an urgent plan too.
- Where updates are asked for, a release that nobody on the device has accepted is held, of an urgent plan
  too: who may say no to a release may say it to a hasty one. An accepted one still waits for its window.
- Nothing holds where a release is taken back: to go on running it is the greater risk. So where the release
  that runs is revoked, or is the plan's candidate outside of whose cut the device now is, or the plan takes
  back for everybody (no candidate, and urgent), the stable release is begun at once.

A clock that is not trusted opens no window: `admission` holds everything then.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agent.core.update import windows
from agent.core.update.admission import HeldBy, Role
from agent.wire.documents import MaintenanceWindow, Plan, ReleaseRef
from agent.wire.reasons import Reason
from agent.wire.topics import Digest

VETO_MAX: Final = 200
"""Letters of a veto that are told."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, on this device."""

    at: datetime
    windows: tuple[MaintenanceWindow, ...] = ()
    """Its own."""
    veto: str | None = None
    """Why nothing may be changed."""
    asks: bool = False
    """Only what was accepted here is begun."""
    accepted: Digest | None = None
    """The manifest that was accepted last."""


@dataclass(frozen=True, slots=True)
class Later:
    held: HeldBy
    opens_at: datetime | None = None
    """When a window opens."""


def held(plan: Plan, role: Role, release: ReleaseRef, active: Digest | None, moment: Moment) -> Later | None:
    """What holds the device from beginning a release that it has not begun yet.

    Args:
        plan: that offers it.
        role: of the release in the plan.
        release: the one in question.
        active: the manifest of the release that runs.
        moment: now.
    """
    if role is Role.STABLE and _takes_back(plan, active):
        return None
    if moment.veto is not None:
        return Later(HeldBy(Reason.VETO, moment.veto[:VETO_MAX]))
    if role is Role.CANDIDATE and plan.paused:
        return Later(HeldBy(Reason.PAUSED, f"rollout {plan.rollout}" if plan.rollout else ""))
    if moment.asks and release.manifest != moment.accepted:
        return Later(HeldBy(Reason.UNACCEPTED, f"{release.name} {release.version}"))
    return None if plan.urgent else _closed(plan, moment)


def _takes_back(plan: Plan, active: Digest | None) -> bool:
    if active is None:
        return False
    offered = plan.candidate.manifest if plan.candidate else None
    return active in plan.revoked or active == offered or (offered is None and plan.urgent)


def _closed(plan: Plan, moment: Moment) -> Later | None:
    opens_at = windows.opens_all((plan.windows, moment.windows), moment.at)
    if opens_at == moment.at:
        return None
    if opens_at is None:
        return Later(
            HeldBy(Reason.WINDOW, "those of the plan and those of this device are never open together")
        )
    return Later(HeldBy(Reason.WINDOW, f"the next one opens at {opens_at:%Y-%m-%d %H:%M} UTC"), opens_at)
