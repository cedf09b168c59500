"""Who speaks, and has not seen what stands: a sign that the broker lost some of it."""

from datetime import timedelta

from agent.wire.topics import DeviceId
from deploy.core.rollouts.picture import Picture
from deploy.core.rollouts.state import Fleet, Rollout


def behind(fleet: Fleet, picture: Picture, after: timedelta) -> tuple[DeviceId, ...]:
    """The devices that were heard so long after the newest plan, and know an older one only.

    A report does not say which stream its device follows, so with several streams nobody can tell.
    """
    newest = _newest(fleet)
    if newest is None or newest.plan is None or newest.steered_at is None:
        return ()
    due = newest.steered_at + after
    return tuple(
        seen.id
        for seen in picture.devices
        if seen.online
        and seen.report is not None
        and seen.heard_at is not None
        and seen.heard_at >= due
        and 0 <= seen.report.plan_serial < newest.plan.serial
    )


def _newest(fleet: Fleet) -> Rollout | None:
    steered = [rollout for rollout in fleet.rollouts.values() if rollout.plan is not None]
    if len({rollout.order.stream for rollout in steered}) != 1:
        return None
    return max(steered, key=lambda rollout: rollout.plan.serial if rollout.plan else -1)
