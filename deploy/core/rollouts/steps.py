"""What the controller decides about a rollout now, from the ledger and a picture of the fleet alone."""

from datetime import datetime
from typing import Final

from agent.wire.documents import Plan
from agent.wire.topics import sha256
from deploy.core.rollouts import approvals, gate, orders, waves
from deploy.core.rollouts.approvals import Person
from deploy.core.rollouts.condensed import condense
from deploy.core.rollouts.orders import Subject
from deploy.core.rollouts.picture import Picture, of_stream
from deploy.core.rollouts.state import Fleet, Rollout
from deploy.core.rollouts.words import (
    AnyEntry,
    ClassWithdrawn,
    Ended,
    Judged,
    Judgement,
    Outcome,
    Steered,
    Verdict,
)

RETOLD_SHARE: Final = 0.25
"""Of the time for which a wave was held when that was written last."""


def step(fleet: Fleet, name: str, picture: Picture, standing: Plan | None) -> tuple[AnyEntry, ...]:
    """The entries to append; none where there is nothing to decide.

    A verdict is written where it or its reasons have changed, and always where something follows from it.
    Nobody is let in by a picture that is not complete, whatever a gate says of it.

    Args:
        fleet: what the ledger says.
        name: of the rollout.
        picture: the fleet now.
        standing: the newest plan of its stream, if there is one.

    Raises:
        Refused: devices would not accept the plan that follows.
    """
    rollout = fleet.rollouts[name]
    if rollout.outcome is not None:
        return ()
    if rollout.aborted is not None:
        return _end_taken_back(rollout, standing)
    picture = of_stream(picture, rollout.order.stream)
    if rollout.plan is None:
        return _first(rollout, picture, standing)
    judgement = gate.judge(rollout, picture)
    follows = _follows(Subject(fleet, picture, name, standing), rollout, judgement)
    if not follows and not _worth_writing(judgement, rollout, picture.at):
        return ()
    content = sha256(condense(picture, rollout))
    return Judged(rollout=name, wave=rollout.wave, judgement=judgement, picture=content), *follows


def decisive(entries: tuple[AnyEntry, ...]) -> bool:
    """Whether more is decided than how things stand: then all is read again first, because a broker drops
    what a listener was too slow for, and a report that was lost looks like silence.
    """
    return any(not isinstance(entry, Judged) for entry in entries)


def _first(rollout: Rollout, picture: Picture, standing: Plan | None) -> tuple[AnyEntry, ...]:
    """Its order waits for a signature, or for someone to see the fleet whole."""
    if rollout.paused or picture.missing or approvals.lacking(rollout.order, 0, rollout.approved.get(0, ())):
        return ()
    return (_steered(rollout, 0, picture, standing, ""),)


def _follows(of: Subject, rollout: Rollout, judgement: Judgement) -> tuple[AnyEntry, ...]:
    match judgement.verdict:
        case Verdict.ABORT:
            return _taken_back(of, rollout, judgement)
        case Verdict.PROMOTE:
            return _promoted(rollout, of.picture)
        case Verdict.HOLD:
            return ()


def _taken_back(of: Subject, rollout: Rollout, judgement: Judgement) -> tuple[AnyEntry, ...]:
    """The classes that failed, where others stand well beside them; else everything."""
    if not judgement.classes:
        return orders.abort(of, Person("controller", judgement.words))
    new = tuple(hardware for hardware in judgement.classes if hardware not in rollout.withdrawn)
    if not new or rollout.plan is None:
        return ()
    withdrawn = [
        ClassWithdrawn(rollout=rollout.name, hardware=hardware, why=judgement.words) for hardware in new
    ]
    plan = waves.taken_back(rollout, rollout.plan, new)
    why = f"taken back from {', '.join(new)}: {judgement.words}"
    return *withdrawn, Steered(rollout=rollout.name, plan=plan, wave=rollout.wave, why=why)


def _promoted(rollout: Rollout, picture: Picture) -> tuple[AnyEntry, ...]:
    if rollout.paused or picture.missing:
        return ()
    if rollout.last_wave:
        return (Ended(rollout=rollout.name, outcome=Outcome.COMPLETED),)
    wave = rollout.wave + 1
    if approvals.lacking(rollout.order, wave, rollout.approved.get(wave, ())):
        return ()
    return (_steered(rollout, wave, picture, rollout.plan, "the gate agrees"),)


def _end_taken_back(rollout: Rollout, standing: Plan | None) -> tuple[AnyEntry, ...]:
    ended = Ended(rollout=rollout.name, outcome=Outcome.REVERTED)
    if rollout.plan is None or rollout.wave < 0:
        return (ended,)
    plan = waves.taken_back(rollout, standing or rollout.plan)
    return Steered(rollout=rollout.name, plan=plan, wave=-1, why=rollout.aborted or ""), ended


def _steered(rollout: Rollout, wave: int, picture: Picture, previous: Plan | None, why: str) -> Steered:
    plan = waves.plan(rollout, wave, picture, previous)
    return Steered(rollout=rollout.name, plan=plan, wave=wave, why=why)


def _worth_writing(judgement: Judgement, rollout: Rollout, at: datetime) -> bool:
    """Numbers change with every report; what they say changes seldom. A picture is kept with each entry, so
    that a rollout which is held for weeks, with devices that come and go, must not fill the disk: its reasons
    are told ever more seldom, and its verdict always.
    """
    before, judged_at = rollout.judgement, rollout.judged_at
    if before is None or judged_at is None or before.verdict is not judgement.verdict:
        return True
    held_for = judged_at - (rollout.wave_at or rollout.started_at)
    return _reasons(judgement) != _reasons(before) and at - judged_at >= RETOLD_SHARE * held_for


def _reasons(judgement: Judgement) -> tuple[object, ...]:
    findings = frozenset((found.name, found.says, found.hardware) for found in judgement.findings)
    return judgement.verdict, judgement.classes, findings
