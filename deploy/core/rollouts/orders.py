"""What a person decides about a rollout under way: each order gives the ledger's entries, or is refused.

An order is complete in itself. The plan that follows from it is among its entries, so that whoever writes
them may sign and publish at once, and a controller that finds them later does the same. How a rollout begins
is in `starting`.
"""

import dataclasses

from msgspec.structs import replace

from agent.wire.documents import Plan
from deploy.core.refusal import Refused
from deploy.core.rollouts import approvals, standing, waves
from deploy.core.rollouts.approvals import Person
from deploy.core.rollouts.picture import Picture
from deploy.core.rollouts.state import Fleet, Rollout
from deploy.core.rollouts.words import (
    Aborted,
    AnyEntry,
    ClassWithdrawn,
    Ended,
    Forced,
    Outcome,
    Paused,
    Resumed,
    Steered,
    Verdict,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """The rollout that is meant, and all that a decision about it follows from."""

    fleet: Fleet
    picture: Picture
    name: str
    signed: Plan | None
    """The newest plan of its stream in the repository, which the next one must follow."""


def pause(of: Subject, person: Person) -> tuple[AnyEntry, ...]:
    """No device begins the candidate any more, no wave follows; those that have begun go on.

    Raises:
        Refused: there is no such rollout, it has ended, or is paused.
    """
    rollout = _going(of)
    if rollout.paused:
        raise Refused(f"rollout {of.name} is paused already")
    entry = Paused(by=person.by, rollout=of.name, why=person.why)
    return entry, *_again(of, rollout, person, "paused", paused=True)


def resume(of: Subject, person: Person) -> tuple[AnyEntry, ...]:
    """
    Raises:
        Refused: there is no such rollout, it has ended, or is not paused.
    """
    rollout = _going(of)
    if not rollout.paused:
        raise Refused(f"rollout {of.name} is not paused")
    entry = Resumed(by=person.by, rollout=of.name, why=person.why)
    return entry, *_again(of, rollout, person, "resumed", paused=False)


def abort(of: Subject, person: Person) -> tuple[AnyEntry, ...]:
    """Take it back everywhere; no device will ever begin its files again, under whatever name.

    A rollout that has completed can be aborted too, while it is the newest of its stream.

    Raises:
        Refused: there is nothing to take back.
    """
    return _undo(of, person, revoke=True)


def revert(of: Subject, person: Person) -> tuple[AnyEntry, ...]:
    """As `abort`; the release may be rolled out again.

    Raises:
        Refused: as `abort`.
    """
    return _undo(of, person, revoke=False)


def revert_class(of: Subject, person: Person, *, hardware: str) -> tuple[AnyEntry, ...]:
    """One hardware class goes back and takes no further part.

    Raises:
        Refused: there is no such rollout, it has ended, no device has this class, or it was taken back.
    """
    rollout = _going(of)
    if hardware in rollout.withdrawn:
        raise Refused(f"class {hardware} was taken back from rollout {of.name} already")
    classes = sorted({seen.hardware for seen in of.picture.devices if seen.hardware})
    if hardware not in classes:
        raise Refused(f"there is no device of class {hardware!r}: there is {', '.join(classes) or 'none'}")
    entry = ClassWithdrawn(by=person.by, rollout=of.name, hardware=hardware, why=person.why)
    standing_plan = _standing(of, rollout)
    if standing_plan is None:
        return (entry,)
    plan = waves.taken_back(rollout, standing_plan, (hardware,))
    return entry, _steered(rollout, plan, rollout.wave, person, f"class {hardware} is taken back")


def promote(of: Subject, person: Person) -> tuple[AnyEntry, ...]:
    """The next wave, where the gate said so when it was last asked; after the last one, the end.

    Raises:
        Refused: it did not, the rollout is paused, or a second person must sign first.
    """
    rollout = _going(of)
    judged = rollout.judgement
    if judged is None or judged.verdict is not Verdict.PROMOTE:
        said = "has not judged this wave yet" if judged is None else f"says {judged.verdict}: {judged.words}"
        raise Refused(
            f"the gate {said}; shoal rollout promote {of.name} --force WHY passes it all the same, on record"
        )
    return _next(of, rollout, person)


def force(of: Subject, person: Person) -> tuple[AnyEntry, ...]:
    """The next wave, whatever the gate says; the reason is recorded.

    Raises:
        Refused: no reason is given, the rollout is paused, or a second person must sign first.
    """
    rollout = _going(of)
    passed = Forced(by=person.by, rollout=of.name, wave=rollout.wave, why=person.reason)
    return passed, *_next(of, rollout, person)


def newest(fleet: Fleet, stream: str) -> str:
    """The rollout that is meant where none is named: the one under way, else the last.

    Raises:
        Refused: nothing was ever rolled out on the stream.
    """
    of_stream = [rollout.name for rollout in fleet.rollouts.values() if rollout.order.stream == stream]
    active = fleet.active(stream)
    if active is not None:
        return active.name
    if not of_stream:
        raise Refused(f"nothing was ever rolled out on stream {stream}: see shoal rollout start --help")
    return of_stream[-1]


def _going(of: Subject) -> Rollout:
    rollout = _known(of)
    if rollout.outcome is not None:
        raise Refused(f"rollout {of.name} has ended: {rollout.outcome}")
    if rollout.aborted is not None:
        raise Refused(f"rollout {of.name} is being taken back: {rollout.aborted}")
    return rollout


def _known(of: Subject) -> Rollout:
    rollout = of.fleet.rollouts.get(of.name)
    if rollout is None:
        known = ", ".join(of.fleet.rollouts) or "none yet"
        raise Refused(f"there is no rollout {of.name!r}: there is {known}")
    return rollout


def _undo(of: Subject, person: Person, *, revoke: bool) -> tuple[AnyEntry, ...]:
    rollout = _undoable(of)
    why = person.why or ("aborted" if revoke else "reverted")
    undone = Aborted(by=person.by, rollout=of.name, why=why, revoke=revoke)
    ended = Ended(by=person.by, rollout=of.name, outcome=Outcome.REVERTED)
    before = _standing(of, rollout)
    if before is None:
        return undone, ended
    plan = waves.taken_back(dataclasses.replace(rollout, aborted=why, revoke=revoke), before)
    return undone, _steered(rollout, plan, -1, person, why), ended


def _undoable(of: Subject) -> Rollout:
    rollout = _known(of)
    if rollout.outcome is Outcome.REVERTED or rollout.aborted is not None:
        raise Refused(f"rollout {of.name} was taken back already: {rollout.aborted or 'reverted'}")
    last = [r.name for r in of.fleet.rollouts.values() if r.order.stream == rollout.order.stream][-1]
    if last != of.name:
        raise Refused(f"rollout {last} came after {of.name}: take that one back")
    return rollout


def _standing(of: Subject, rollout: Rollout) -> Plan | None:
    """The rollout's newest plan, with the serial that the next one must exceed.

    A repository that is ahead of the ledger (one of them was restored from another time) has revoked what it
    has revoked.
    """
    if rollout.plan is None or of.signed is None:
        return rollout.plan
    serial = max(rollout.plan.serial, of.signed.serial)
    revoked = dict.fromkeys((*of.signed.revoked, *rollout.plan.revoked))
    return replace(rollout.plan, serial=serial, revoked=tuple(revoked))


def _again(of: Subject, rollout: Rollout, person: Person, why: str, *, paused: bool) -> tuple[AnyEntry, ...]:
    """The plan that stands, held or let go."""
    before = _standing(of, rollout)
    if before is None:
        return ()
    plan = waves.checked(replace(before, serial=before.serial + 1, paused=paused))
    return (_steered(rollout, plan, rollout.wave, person, person.why or why),)


def _next(of: Subject, rollout: Rollout, person: Person) -> tuple[AnyEntry, ...]:
    if rollout.paused:
        raise Refused(f"rollout {of.name} is paused: shoal rollout resume {of.name} lets it go on")
    if rollout.last_wave:
        return (Ended(by=person.by, rollout=of.name, outcome=Outcome.COMPLETED),)
    wave = rollout.wave + 1
    if unsigned := approvals.awaited(rollout):
        raise Refused(unsigned)
    before = standing.newer(_standing(of, rollout), of.signed)
    plan = waves.plan(rollout, wave, of.picture, before)
    return (_steered(rollout, plan, wave, person, person.why or "the gate agrees"),)


def _steered(rollout: Rollout, plan: Plan, wave: int, person: Person, why: str) -> Steered:
    return Steered(by=person.by, rollout=rollout.name, plan=plan, wave=wave, why=why)
