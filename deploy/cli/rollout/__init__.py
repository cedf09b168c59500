"""`shoal rollout`: who runs what, wave by wave."""

from typing import Final

from deploy.cli.command import Group
from deploy.cli.rollout import approve, plan, start, status, steering

GROUP: Final = Group(
    "rollout",
    "bring a release to the fleet in waves, and take it back",
    (
        plan.COMMAND,
        start.COMMAND,
        status.COMMAND,
        steering.PROMOTE,
        steering.PAUSE,
        steering.RESUME,
        steering.REVERT,
        steering.ABORT,
        approve.COMMAND,
    ),
)
