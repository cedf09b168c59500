"""Who speaks, and has not seen what stands: a sign that the broker lost some of it."""

from datetime import timedelta

from agent.wire.topics import DeviceId
from deploy.core.rollouts.picture import Picture, Seen, of_stream
from deploy.core.rollouts.state import Fleet, Rollout


def behind(fleet: Fleet, picture: Picture, after: timedelta) -> tuple[DeviceId, ...]:
    """The devices that were heard so long after the newest plan of a stream, and know an older one only."""
    newest = {
        rollout.order.stream: rollout for rollout in fleet.rollouts.values() if rollout.plan is not None
    }
    late = {
        seen.id
        for stream, rollout in newest.items()
        for seen in of_stream(picture, stream).devices
        if _is_behind(seen, rollout, after)
    }
    return tuple(sorted(late))


def _is_behind(seen: Seen, rollout: Rollout, after: timedelta) -> bool:
    if not seen.online or seen.report is None or seen.heard_at is None:
        return False
    if rollout.plan is None or rollout.steered_at is None or seen.heard_at < rollout.steered_at + after:
        return False
    return 0 <= seen.report.plan_serial < rollout.plan.serial
