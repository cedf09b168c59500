"""Where a rollout is at one instant: its waves and their devices, the bytes to come, what its gate says."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from agent.core.update import cohort
from agent.wire.documents import Plan
from agent.wire.reports import Phase
from agent.wire.topics import DeviceId
from deploy.core.rollouts import gate, tally, waves
from deploy.core.rollouts.picture import Picture, Seen, of_stream
from deploy.core.rollouts.state import Rollout
from deploy.core.rollouts.tally import Counted, Standing
from deploy.core.rollouts.words import Judgement


class WaveState(StrEnum):
    OUT = "out"
    """It was let in, and a larger one since."""
    CURRENT = "current"
    COMING = "coming"


@dataclass(frozen=True, slots=True)
class WaveView:
    """One wave: the devices that it lets in and the one before it did not."""

    label: str
    state: WaveState
    devices: int
    standings: Mapping[Standing, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outlook:
    at: datetime
    rollout: Rollout
    waves: tuple[WaveView, ...]
    standings: Mapping[DeviceId, Standing]
    judgement: Judgement | None
    bytes_left: int
    """To the devices of the waves so far, as far as it is known."""
    loading: int
    """Devices that they go to."""
    back: int
    """Of those that were let in, the devices that serve the stable release. Counted once it is taken back."""
    let_in: int
    missing: tuple[str, ...]
    devices: int

    @property
    def totals(self) -> Mapping[Standing, int]:
        return Counter(self.standings.values())


def to_come(rollout: Rollout, picture: Picture) -> tuple[Plan, ...]:
    """The plans of the waves that are not out yet, as they would be cut now.

    Raises:
        Refused: devices would not accept one of them.
    """
    if rollout.outcome is not None or rollout.aborted is not None:
        return ()
    picture = of_stream(picture, rollout.order.stream)
    plans, previous = [], rollout.plan
    for wave in range(rollout.wave + 1, len(rollout.order.waves)):
        previous = waves.plan(rollout, wave, picture, previous)
        plans.append(previous)
    return tuple(plans)


def ahead(rollout: Rollout, picture: Picture) -> tuple[WaveView, ...]:
    """The waves that are not out yet, and how many more devices each lets in.

    Raises:
        Refused: as `to_come`.
    """
    picture = of_stream(picture, rollout.order.stream)
    coming = to_come(rollout, picture)
    labels = rollout.order.waves[len(rollout.order.waves) - len(coming) :]
    before = len(waves.members(rollout.plan, picture)) if rollout.plan is not None else 0
    views = []
    for label, plan in zip(labels, coming, strict=True):
        reached = len(waves.members(plan, picture))
        views.append(WaveView(label, WaveState.COMING, max(reached - before, 0)))
        before = reached
    return tuple(views)


def outlook(rollout: Rollout, picture: Picture, coming: Sequence[WaveView]) -> Outlook:
    """
    Args:
        rollout: as the ledger has it.
        picture: the fleet now.
        coming: as `ahead` gave them, not necessarily for this very picture.
    """
    picture = of_stream(picture, rollout.order.stream)
    counted = tally.count(rollout, picture)
    going = rollout.outcome is None and rollout.aborted is None and rollout.plan is not None
    loads = [_lacks(each, rollout) for each in counted if each.standing is Standing.PENDING]
    exposed = _exposed(rollout, picture)
    stable = rollout.order.stable
    back = [seen for seen in exposed if stable is not None and _serves(seen, stable.manifest)]
    return Outlook(
        at=picture.at,
        rollout=rollout,
        waves=(*_out(rollout, counted), *coming),
        standings={each.seen.id: each.standing for each in counted},
        judgement=gate.judge(rollout, picture) if going else rollout.judgement,
        bytes_left=sum(loads),
        loading=sum(load > 0 for load in loads),
        back=len(back),
        let_in=len(exposed),
        missing=picture.missing,
        devices=len(picture.devices),
    )


def past(rollout: Rollout, at: datetime) -> Outlook:
    """Of a rollout that others came after: what was judged of it last, and no device is counted anew."""
    return Outlook(
        at=at,
        rollout=rollout,
        waves=(),
        standings={},
        judgement=rollout.judgement,
        bytes_left=0,
        loading=0,
        back=0,
        let_in=0,
        missing=(),
        devices=0,
    )


def _out(rollout: Rollout, counted: Sequence[Counted]) -> list[WaveView]:
    """Of the waves so far. Nothing is counted of one that was taken back."""
    by_wave: dict[int, Counter[Standing]] = {number: Counter() for number in range(len(rollout.turns))}
    for each in counted:
        by_wave[_wave_of(each.seen, rollout)][each.standing] += 1
    return [
        WaveView(
            rollout.order.waves[number],
            WaveState.CURRENT if number == rollout.wave else WaveState.OUT,
            standings.total(),
            standings,
        )
        for number, standings in by_wave.items()
    ]


def _wave_of(seen: Seen, rollout: Rollout) -> int:
    last = len(rollout.turns) - 1
    inside = (number for number, turn in enumerate(rollout.turns) if _belongs(turn.plan, seen))
    return next(inside, last)


def _belongs(plan: Plan, seen: Seen) -> bool:
    return cohort.belongs(plan.cut, seen.hardware, plan.salt, seen.id)


def _exposed(rollout: Rollout, picture: Picture) -> tuple[Seen, ...]:
    """Whom the largest wave let in, once it was taken back."""
    if rollout.aborted is None or not rollout.turns:
        return ()
    return waves.members(rollout.turns[-1].plan, picture)


def _serves(seen: Seen, manifest: str) -> bool:
    report = seen.report
    return (
        report is not None
        and report.active is not None
        and report.active.manifest == manifest
        and report.phase in {Phase.IDLE, Phase.HELD}
    )


def _lacks(counted: Counted, rollout: Rollout) -> int:
    """Bytes that a pending device has yet to download: what it says of its download, or all."""
    report, release = counted.seen.report, rollout.order.release.manifest
    if report is None:
        return rollout.order.bytes_each
    if report.active is not None and report.active.manifest == release:
        return 0
    candidate = report.candidate
    if candidate is None or candidate.manifest != release or not candidate.bytes_total:
        return 0 if report.phase is Phase.TRIAL else rollout.order.bytes_each
    return candidate.bytes_total - candidate.bytes_done
