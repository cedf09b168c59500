"""What a person decides about a rollout: each order gives the entries for the ledger, or is refused.

An order is complete in itself. The plan that follows from it is among its entries, so that whoever writes
them may sign and publish at once, and a controller that finds them later does the same.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from agent.wire.documents import Plan, ReleaseRef
from agent.wire.topics import Digest
from deploy.core.refusal import Refused
from deploy.core.rollouts import approvals, sizes, waves
from deploy.core.rollouts.picture import Picture
from deploy.core.rollouts.sizes import Everybody
from deploy.core.rollouts.state import Fleet, Rollout
from deploy.core.rollouts.words import (
    Aborted,
    AnyEntry,
    ClassWithdrawn,
    Ended,
    Forced,
    Order,
    Outcome,
    Paused,
    Policy,
    Resumed,
    Started,
    Steered,
    Verdict,
)

NAME_MAX: Final = 64

FilesOf = Callable[[ReleaseRef], frozenset[Digest]]
"""The manifest of a release and its variants."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who decides, by the name of the account, and why."""

    by: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A rollout as it is asked for, before the fleet was looked at."""

    stream: str
    release: ReleaseRef
    waves: tuple[str, ...]
    salts: tuple[str, ...]
    """Fresh ones, of which the best is taken."""
    match: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    rollout: str = ""
    """Empty: named after the release."""
    bytes_each: int = 0


def order(fleet: Fleet, picture: Picture, asked: Asked, standing: Plan | None, files_of: FilesOf) -> Order:
    """What `start` would begin, given a stream that is free.

    Args:
        fleet: what the ledger says.
        picture: the devices; of the salts, the one is taken with which most of the first wave is online, the
            first such. It is `start`'s only choice, so that a salt makes the same waves again.
        asked: the rollout.
        standing: the newest plan of the stream, if there is one.
        files_of: what the repository holds.

    Raises:
        Refused: it makes no sense, or could not be undone.
    """
    stable = heir(fleet, asked, standing)
    files = files_of(asked.release)
    _refuse_senseless(asked, stable, files, standing)
    made = Order(
        rollout=asked.rollout or free_name(fleet, asked.release),
        stream=asked.stream,
        release=asked.release,
        files=tuple(sorted(files - (files_of(stable) if stable else frozenset()))),
        stable=stable,
        waves=asked.waves,
        match=asked.match,
        salt=asked.salts[0],
        policy=asked.policy,
        bytes_each=asked.bytes_each,
    )
    _refuse_unknown_waves(made)
    _refuse_uncounted(made, picture)
    return replace(made, salt=best_salt(made, picture, asked.salts))


def start(
    fleet: Fleet, picture: Picture, made: Order, standing: Plan | None, person: Person
) -> tuple[AnyEntry, ...]:
    """Begin the rollout; its first wave is let in unless a second person must sign for it.

    Raises:
        Refused: the stream is not free, the name is taken, or devices would not accept its plans.
    """
    active = fleet.active(made.stream)
    if active is not None:
        raise Refused(
            f"rollout {active.name} of stream {made.stream} has not ended: let it end, take it back "
            f"with shoal rollout revert {active.name}, or name the reason with --replace WHY"
        )
    if made.rollout in fleet.rollouts:
        raise Refused(f"there was a rollout {made.rollout} before: choose another --name")
    begun = Rollout(made, picture.at)
    first = waves.plan(begun, 0, picture, standing)
    # What could not be taken back must not begin.
    waves.taken_back(begun, first)
    started = Started(by=person.by, order=made)
    if approvals.lacking(made, 0, ()):
        return (started,)
    return started, _steered(begun, first, 0, person, f"wave {made.waves[0]}")


def superseded(rollout: Rollout, person: Person) -> tuple[AnyEntry, ...]:
    """End a rollout for the next one of its stream, whose first plan takes it back without a revocation."""
    return (
        Aborted(by=person.by, rollout=rollout.name, why=f"replaced: {_reason(person)}", revoke=False),
        Ended(by=person.by, rollout=rollout.name, outcome=Outcome.REVERTED),
    )


def pause(fleet: Fleet, name: str, person: Person) -> tuple[AnyEntry, ...]:
    """No device begins the candidate any more, no wave follows; those that have begun go on.

    Raises:
        Refused: there is no such rollout, it has ended, or is paused.
    """
    rollout = _going(fleet, name)
    if rollout.paused:
        raise Refused(f"rollout {name} is paused already")
    return Paused(by=person.by, rollout=name, why=person.why), *_again(rollout, person, "paused", paused=True)


def resume(fleet: Fleet, name: str, person: Person) -> tuple[AnyEntry, ...]:
    """
    Raises:
        Refused: there is no such rollout, it has ended, or is not paused.
    """
    rollout = _going(fleet, name)
    if not rollout.paused:
        raise Refused(f"rollout {name} is not paused")
    return Resumed(by=person.by, rollout=name, why=person.why), *_again(
        rollout, person, "resumed", paused=False
    )


def abort(fleet: Fleet, name: str, person: Person) -> tuple[AnyEntry, ...]:
    """Take it back everywhere; no device will ever begin its files again, under whatever name.

    A rollout that has completed can be aborted too, while it is the newest of its stream.

    Raises:
        Refused: there is nothing to take back.
    """
    return _undo(_newest(fleet, name), person, revoke=True)


def revert(fleet: Fleet, name: str, person: Person) -> tuple[AnyEntry, ...]:
    """As `abort`; the release may be rolled out again.

    Raises:
        Refused: as `abort`.
    """
    return _undo(_newest(fleet, name), person, revoke=False)


def revert_class(fleet: Fleet, name: str, hardware: str, person: Person) -> tuple[AnyEntry, ...]:
    """One hardware class goes back and takes no further part.

    Raises:
        Refused: there is no such rollout, it has ended, or the class was taken back before.
    """
    rollout = _going(fleet, name)
    if rollout.plan is None or hardware in rollout.withdrawn:
        raise Refused(f"rollout {name} has no device of class {hardware!r} to take back")
    plan = waves.taken_back(rollout, rollout.plan, (hardware,))
    return (
        ClassWithdrawn(by=person.by, rollout=name, hardware=hardware, why=person.why),
        _steered(rollout, plan, rollout.wave, person, f"class {hardware} is taken back"),
    )


def promote(fleet: Fleet, picture: Picture, name: str, person: Person) -> tuple[AnyEntry, ...]:
    """The next wave, where the gate said so when it was last asked.

    Raises:
        Refused: it did not, or a second person must sign first.
    """
    rollout = _going(fleet, name)
    judged = rollout.judgement
    if judged is None or judged.verdict is not Verdict.PROMOTE:
        said = "has not judged this wave yet" if judged is None else f"says {judged.verdict}: {judged.words}"
        raise Refused(
            f"the gate {said}; shoal rollout promote {name} --force WHY passes it all the same, on record"
        )
    return _next(rollout, picture, person)


def force(fleet: Fleet, picture: Picture, name: str, person: Person) -> tuple[AnyEntry, ...]:
    """The next wave, whatever the gate says; the reason is recorded.

    Raises:
        Refused: no reason is given, or a second person must sign first.
    """
    rollout = _going(fleet, name)
    _reason(person)
    passed = Forced(by=person.by, rollout=name, wave=rollout.wave, why=person.why)
    return passed, *_next(rollout, picture, person)


def heir(fleet: Fleet, asked: Asked, standing: Plan | None) -> ReleaseRef | None:
    """What is stable for the next rollout of the stream: what the last completed one brought, else as before.

    Raises:
        Refused: that was not for everybody, and this one is for others.
    """
    if standing is None:
        return None
    before = fleet.rollouts.get(standing.rollout)
    done = before is not None and before.outcome is Outcome.COMPLETED and standing.candidate is not None
    if not done:
        return standing.stable
    if standing.candidate == asked.release:
        _refuse_widening_in_waves(asked, standing)
        return standing.stable
    if standing.match != asked.match:
        brought = standing.candidate
        assert brought is not None
        raise Refused(
            f"{brought.name}@{brought.version} went only to {' & '.join(standing.match) or 'all'}, "
            "so it is not what every device of this rollout could go back to: ask for the same --match, "
            "bring it to the others first with --waves all, or use a --stream of its own"
        )
    return standing.candidate


def _refuse_widening_in_waves(asked: Asked, standing: Plan) -> None:
    """Waves are for the next release: those who run this one would go back until their turn came."""
    if asked.match == standing.match:
        raise Refused(
            f"{asked.release.name}@{asked.release.version} was rolled out to the end: nothing to do"
        )
    if not isinstance(sizes.parse(asked.waves[0]), Everybody):
        raise Refused(
            f"{asked.release.name}@{asked.release.version} is out there already, and those who run it would "
            "go back until their turn came: bring it to the others with --waves all"
        )


def free_name(fleet: Fleet, ref: ReleaseRef) -> str:
    """The release's own, with a number where it has been rolled out before."""
    base = f"{ref.name}-{ref.version}"[:NAME_MAX]
    taken = fleet.rollouts.keys()
    if base not in taken:
        return base
    number = next(n for n in range(2, len(taken) + 3) if f"{base[: NAME_MAX - 8]}-{n}" not in taken)
    return f"{base[: NAME_MAX - 8]}-{number}"


def best_salt(made: Order, picture: Picture, salts: Sequence[str]) -> str:
    """The salt with which the fewest devices of the first wave are offline; the first of several."""
    if len(salts) == 1 or isinstance(sizes.parse(made.waves[0]), Everybody):
        return salts[0]
    best, fewest = salts[0], len(picture.devices) + 1
    for salt in salts:
        plan = waves.plan(Rollout(replace(made, salt=salt), picture.at), 0, picture, None)
        offline = sum(not seen.online for seen in waves.members(plan, picture))
        if offline < fewest:
            best, fewest = salt, offline
        if fewest == 0:
            break
    return best


def _refuse_senseless(
    asked: Asked, stable: ReleaseRef | None, files: frozenset[Digest], standing: Plan | None
) -> None:
    named = f"{asked.release.name}@{asked.release.version}"
    if standing is not None and (revoked := files & frozenset(standing.revoked)):
        raise Refused(f"{named} holds {min(revoked)[:12]}, which was revoked: release a new version")
    if stable == asked.release:
        raise Refused(
            f"{named} is the stable release of stream {asked.stream}: nothing to roll out; "
            "shoal rollout revert brings every device back to it"
        )


def _refuse_unknown_waves(made: Order) -> None:
    unknown = [wave for wave in made.policy.approve if wave not in made.waves]
    if unknown:
        raise Refused(
            f"the policy wants a signature for wave {unknown[0]!r}, and the waves are {', '.join(made.waves)}"
        )


def _refuse_uncounted(made: Order, picture: Picture) -> None:
    first = sizes.parse(made.waves[0])
    if isinstance(first, Everybody):
        return
    if picture.missing:
        raise Refused(
            f"the fleet could not be read to its end ({', '.join(picture.missing)}), so no wave of it can be "
            "counted: try again"
        )
    if not waves.counted(made, picture):
        wanted = f" that matches {' & '.join(made.match)}" if made.match else ""
        raise Refused(
            f"no device{wanted} has reported yet, so there is none to try it on: start one, "
            "or offer it to whoever comes with --waves all"
        )


def _going(fleet: Fleet, name: str) -> Rollout:
    rollout = _known(fleet, name)
    if rollout.outcome is not None:
        raise Refused(f"rollout {name} has ended: {rollout.outcome}")
    return rollout


def _newest(fleet: Fleet, name: str) -> Rollout:
    """It has not been taken back, and no other came after it."""
    rollout = _known(fleet, name)
    if rollout.outcome is Outcome.REVERTED or rollout.aborted is not None:
        raise Refused(f"rollout {name} was taken back already: {rollout.aborted or 'reverted'}")
    later = [r.name for r in fleet.rollouts.values() if r.order.stream == rollout.order.stream]
    if later[-1] != name:
        raise Refused(f"rollout {later[-1]} came after {name}: take that one back")
    return rollout


def _known(fleet: Fleet, name: str) -> Rollout:
    rollout = fleet.rollouts.get(name)
    if rollout is None:
        known = ", ".join(fleet.rollouts) or "none yet"
        raise Refused(f"there is no rollout {name!r}: there is {known}")
    return rollout


def _reason(person: Person) -> str:
    if not person.why.strip():
        raise Refused("a reason is needed: it goes on record")
    return person.why


def _undo(rollout: Rollout, person: Person, *, revoke: bool) -> tuple[AnyEntry, ...]:
    why = person.why or ("aborted" if revoke else "reverted")
    undone = Aborted(by=person.by, rollout=rollout.name, why=why, revoke=revoke)
    ended = Ended(by=person.by, rollout=rollout.name, outcome=Outcome.REVERTED)
    if rollout.plan is None:
        return undone, ended
    plan = waves.taken_back(_as_undone(rollout, why, revoke=revoke), rollout.plan)
    return undone, _steered(rollout, plan, -1, person, why), ended


def _as_undone(rollout: Rollout, why: str, *, revoke: bool) -> Rollout:
    return dataclasses.replace(rollout, aborted=why, revoke=revoke)


def _again(rollout: Rollout, person: Person, why: str, *, paused: bool) -> tuple[AnyEntry, ...]:
    """The plan that stands, held or let go."""
    if rollout.plan is None:
        return ()
    plan = waves.checked(replace(rollout.plan, serial=rollout.plan.serial + 1, paused=paused))
    return (_steered(rollout, plan, rollout.wave, person, why),)


def _next(rollout: Rollout, picture: Picture, person: Person) -> tuple[AnyEntry, ...]:
    if rollout.paused:
        raise Refused(f"rollout {rollout.name} is paused: shoal rollout resume {rollout.name}")
    if rollout.last_wave:
        return (Ended(by=person.by, rollout=rollout.name, outcome=Outcome.COMPLETED),)
    wave = rollout.wave + 1
    size = rollout.order.waves[wave]
    if missing := approvals.lacking(rollout.order, wave, rollout.approved.get(wave, ())):
        raise Refused(
            f"wave {size} needs {missing} more signature{'s' if missing > 1 else ''}: "
            f"shoal rollout approve {rollout.name} --wave {size} --key FILE"
        )
    plan = waves.plan(rollout, wave, picture, rollout.plan)
    return (_steered(rollout, plan, wave, person, f"wave {size}: {person.why or 'the gate agrees'}"),)


def _steered(rollout: Rollout, plan: Plan, wave: int, person: Person, why: str) -> Steered:
    return Steered(by=person.by, rollout=rollout.name, plan=plan, wave=wave, why=why)
