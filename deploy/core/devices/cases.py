"""What is known of each device, put together from the fleet's picture and what counts for its stream."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.wire.documents import Plan
from agent.wire.topics import DeviceId
from deploy.core.devices.why import Case
from deploy.core.rollouts.picture import Picture, of_pipeline
from deploy.core.rollouts.state import Member, Rollout


@dataclass(frozen=True, slots=True)
class Stream:
    """What counts for everybody who follows it."""

    plan: Plan | None
    rollout: Rollout | None
    coming: tuple[Plan, ...]
    failed_at: Mapping[DeviceId, datetime]


def cases(
    picture: Picture, members: Mapping[DeviceId, Member], stream: str, known: Callable[[str], Stream]
) -> Callable[[str, str], Case]:
    """What is known of each device by one of its pipelines; of one that nobody knows, nothing.

    Args:
        picture: the fleet.
        members: who was enrolled.
        stream: that a pipeline follows which does not say so itself.
        known: what counts for a stream.
    """
    seen = {each.id: each for each in picture.devices}
    refused: dict[str, list[str]] = {}
    for words in picture.refused:
        refused.setdefault(words.split(" ", 1)[0], []).append(words)

    def case(device: str, pipeline: str) -> Case:
        named = DeviceId(device)
        found = seen.get(named)
        told = None if found is None else of_pipeline(found, pipeline)
        report = None if told is None else told.report
        of = known(report.stream if report is not None and report.stream else stream)
        return Case(
            at=picture.at,
            seen=told,
            member=members.get(named),
            plan=of.plan,
            rollout=of.rollout,
            coming=of.coming,
            failed_at=of.failed_at.get(named),
            refused=tuple(refused.get(device, ())),
        )

    return case
