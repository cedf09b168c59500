"""Where a rollout stands: the fold of what the ledger holds of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from agent.wire.documents import Plan
from agent.wire.topics import DeviceId
from deploy.core.rollouts.words import (
    Aborted,
    Approved,
    ClassWithdrawn,
    Ended,
    Enrolled,
    Expelled,
    Forced,
    Judged,
    Judgement,
    Line,
    Of,
    Order,
    Outcome,
    Paused,
    Resumed,
    Started,
    Steered,
)


@dataclass(frozen=True, slots=True)
class Turn:
    """A wave as it began."""

    at: datetime
    serial: int
    """Of its first plan: who has seen an older one only was not let in by it."""
    plan: Plan
    """Its newest."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout."""

    order: Order
    started_at: datetime
    wave: int = -1
    """The wave that its newest plan lets in, from 0; -1: none yet, or taken back."""
    wave_at: datetime | None = None
    """When that wave began."""
    plan: Plan | None = None
    """The newest, which is to stand on the broker."""
    steered_at: datetime | None = None
    """When it was decided."""
    turns: tuple[Turn, ...] = ()
    """The waves so far, in their order."""
    paused: bool = False
    resumed_at: datetime | None = None
    aborted: str | None = None
    """Why it is to be taken back."""
    revoke: bool = True
    withdrawn: tuple[str, ...] = ()
    """Hardware classes that were taken back alone."""
    forced: frozenset[int] = frozenset()
    approved: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """By wave, the keys that signed."""
    judgement: Judgement | None = None
    judged_at: datetime | None = None
    """When that was written."""
    outcome: Outcome | None = None

    @property
    def name(self) -> str:
        return self.order.rollout

    @property
    def last_wave(self) -> bool:
        return self.wave == len(self.order.waves) - 1


@dataclass(frozen=True, slots=True)
class Member:
    """A device that was enrolled."""

    id: DeviceId
    tags: tuple[str, ...] = ()
    hardware: str = ""
    sealed: bool = False
    expelled: bool = False
    credential: str = ""
    """As in `Enrolled`."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """All that the ledger says."""

    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    """In the order in which they began."""
    members: Mapping[DeviceId, Member] = field(default_factory=dict)

    def active(self, stream: str) -> Rollout | None:
        """The rollout of this stream that has not ended: there is never more than one."""
        return next(
            (r for r in self.rollouts.values() if r.outcome is None and r.order.stream == stream), None
        )


def fold(lines: Iterable[Line], fleet: Fleet = Fleet()) -> Fleet:
    """What follows from these lines after those that made `fleet`."""
    rollouts, members = dict(fleet.rollouts), dict(fleet.members)
    for line in lines:
        match line.entry:
            case Started(order=order):
                rollouts[order.rollout] = Rollout(order, line.at)
            case Of(rollout=name):
                rollouts[name] = _after(rollouts[name], line)
            case Enrolled(device=device, tags=tags, hardware=hardware, sealed=sealed, credential=shown):
                members[device] = Member(device, tags, hardware, sealed, credential=shown)
            case Expelled(device=device) if device in members:
                members[device] = replace(members[device], expelled=True)
            case _:
                pass
    return Fleet(rollouts, members)


def _after(rollout: Rollout, line: Line) -> Rollout:
    match line.entry:
        case Steered(plan=plan, wave=wave):
            begun = rollout.wave_at if wave == rollout.wave else line.at
            turns = _turns(rollout, plan, wave, line.at)
            return replace(rollout, plan=plan, steered_at=line.at, wave=wave, wave_at=begun, turns=turns)
        case Judged(judgement=judgement):
            return replace(rollout, judgement=judgement, judged_at=line.at)
        case Paused():
            return replace(rollout, paused=True)
        case Resumed():
            return replace(rollout, paused=False, resumed_at=line.at)
        case Forced(wave=wave):
            return replace(rollout, forced=rollout.forced | {wave})
        case Approved(wave=wave, key=key):
            keys = rollout.approved.get(wave, frozenset()) | {key}
            return replace(rollout, approved={**rollout.approved, wave: keys})
        case Aborted(why=why, revoke=revoke):
            return replace(rollout, aborted=why, revoke=revoke)
        case ClassWithdrawn(hardware=hardware):
            return replace(rollout, withdrawn=(*rollout.withdrawn, hardware))
        case Ended(outcome=outcome):
            return replace(rollout, outcome=outcome)
        case _:
            return rollout


def _turns(rollout: Rollout, plan: Plan, wave: int, at: datetime) -> tuple[Turn, ...]:
    """A plan for the wave that is out already (paused, or without a class) changes whom it lets in, and not
    when it began.
    """
    if wave < 0:
        return rollout.turns
    if wave == rollout.wave and rollout.turns:
        return (*rollout.turns[:-1], replace(rollout.turns[-1], plan=plan))
    return (*rollout.turns, Turn(at, plan.serial, plan))
