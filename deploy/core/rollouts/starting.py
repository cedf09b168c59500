"""How a rollout begins: what is asked for, made into an order, and the order into its first wave.

All that is left to chance is the salt. Given the same salt, `prepare` makes the same order of the same
picture, so that what `shoal rollout plan` shows is what `shoal rollout start --salt` does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from agent.wire.documents import Plan, ReleaseRef
from agent.wire.topics import Digest
from deploy.core.refusal import Refused
from deploy.core.rollouts import approvals, sizes, waves
from deploy.core.rollouts.approvals import Person
from deploy.core.rollouts.picture import Picture
from deploy.core.rollouts.sizes import Everybody
from deploy.core.rollouts.state import Fleet, Rollout, fold
from deploy.core.rollouts.words import (
    Aborted,
    AnyEntry,
    Ended,
    Line,
    Order,
    Outcome,
    Policy,
    Started,
    Steered,
)

NAME_MAX: Final = 64

FilesOf = Callable[[ReleaseRef], frozenset[Digest]]
"""The manifest of a release and its variants."""


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


def prepare(fleet: Fleet, picture: Picture, asked: Asked, standing: Plan | None, files_of: FilesOf) -> Order:
    """The order that `start` would begin on a stream that is free.

    Args:
        fleet: what the ledger says.
        picture: the devices; the salt is taken with which the fewest of the first wave are offline.
        asked: the rollout.
        standing: the newest plan of the stream, if there is one.
        files_of: what the repository holds.

    Raises:
        Refused: it makes no sense, or there is nobody to try it on.
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
    fleet: Fleet, picture: Picture, order: Order, standing: Plan | None, person: Person
) -> tuple[AnyEntry, ...]:
    """Begin the rollout; its first wave is let in unless a second person must sign for it.

    Raises:
        Refused: the stream is not free, the name is taken, or devices would not accept its plans.
    """
    active = fleet.active(order.stream)
    if active is not None:
        judged = f", and the gate says {_said(active)}" if active.judgement else ""
        raise Refused(
            f"rollout {active.name} of stream {order.stream} has not ended{judged}: let it end, take it "
            f"back with shoal rollout revert {active.name}, or say with --replace WHY why it must give way"
        )
    if order.rollout in fleet.rollouts:
        raise Refused(f"there was a rollout {order.rollout} before: choose another --name")
    begun = Rollout(order, picture.at)
    first = waves.plan(begun, 0, picture, standing)
    # What could not be taken back must not begin.
    waves.taken_back(begun, first)
    started = Started(by=person.by, order=order)
    if approvals.lacking(order, 0, ()):
        return (started,)
    let_in = Steered(by=person.by, rollout=order.rollout, plan=first, wave=0, why=person.why)
    return started, let_in


def supersede(rollout: Rollout, person: Person) -> tuple[AnyEntry, ...]:
    """End a rollout for the next one of its stream, whose first plan takes it back without a revocation."""
    return (
        Aborted(by=person.by, rollout=rollout.name, why=f"replaced: {person.reason}", revoke=False),
        Ended(by=person.by, rollout=rollout.name, outcome=Outcome.REVERTED),
    )


def heir(fleet: Fleet, asked: Asked, standing: Plan | None) -> ReleaseRef | None:
    """What is stable for the next rollout of the stream: what the last completed one brought, else as before.

    Raises:
        Refused: that was not for everybody, and this one is for others.
    """
    if standing is None:
        return None
    before = fleet.rollouts.get(standing.rollout)
    brought = standing.candidate
    if before is None or before.outcome is not Outcome.COMPLETED or brought is None:
        return standing.stable
    if brought == asked.release:
        _refuse_widening_in_waves(asked, standing)
        return standing.stable
    if standing.match and standing.match != asked.match:
        raise Refused(
            f"{brought.name}@{brought.version} went only to {' & '.join(standing.match)}, "
            "so it is not what every device of this rollout could go back to: ask for the same --match, "
            "bring it to the others first with --waves all, or use a --stream of its own"
        )
    return brought


def free_name(fleet: Fleet, ref: ReleaseRef) -> str:
    """The release's own, with a number where it has been rolled out before."""
    base, taken = f"{ref.name}-{ref.version}"[:NAME_MAX], fleet.rollouts.keys()
    if base not in taken:
        return base
    stem = base[: NAME_MAX - 8]
    return next(f"{stem}-{n}" for n in range(2, len(taken) + 3) if f"{stem}-{n}" not in taken)


def best_salt(order: Order, picture: Picture, salts: Sequence[str]) -> str:
    """The salt with which the fewest devices of the first wave are offline; the first of several."""
    if len(salts) == 1 or isinstance(sizes.parse(order.waves[0]), Everybody):
        return salts[0]
    return min(salts, key=lambda salt: _offline(replace(order, salt=salt), picture))


def _offline(order: Order, picture: Picture) -> int:
    plan = waves.plan(Rollout(order, picture.at), 0, picture, None)
    return sum(not seen.online for seen in waves.members(plan, picture))


def _refuse_widening_in_waves(asked: Asked, standing: Plan) -> None:
    """Waves are for the next release: those who run this one would go back until their turn came."""
    named = f"{asked.release.name}@{asked.release.version}"
    if asked.match == standing.match:
        raise Refused(f"{named} was rolled out to the end: nothing to do")
    if not isinstance(sizes.parse(asked.waves[0]), Everybody):
        raise Refused(
            f"{named} is out there already, and those who run it would go back until their turn came: "
            "bring it to the others with --waves all"
        )


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


def _refuse_unknown_waves(order: Order) -> None:
    unknown = [wave for wave in order.policy.approve if wave not in order.waves]
    if unknown:
        raise Refused(
            f"the policy wants wave {unknown[0]!r} signed, and the waves are {', '.join(order.waves)}"
        )


def _refuse_uncounted(order: Order, picture: Picture) -> None:
    if isinstance(sizes.parse(order.waves[0]), Everybody):
        return
    if picture.missing:
        raise Refused(
            f"the fleet could not be read to its end ({', '.join(picture.missing)}), so no wave of it can be "
            "counted: try again"
        )
    if not waves.counted(order, picture):
        wanted = f" that matches {' & '.join(order.match)}" if order.match else ""
        raise Refused(
            f"no device{wanted} of stream {order.stream} has reported yet, so there is none to try it on: "
            "start one, or offer it to whoever comes with --waves all"
        )


def _said(rollout: Rollout) -> str:
    judged = rollout.judgement
    return f"{judged.verdict}: {judged.words}" if judged else ""


def after(fleet: Fleet, entries: Sequence[AnyEntry], picture: Picture) -> Fleet:
    """The fleet as it would be with these entries written."""
    blank = Digest("0" * 64)
    return fold((Line(number=0, at=picture.at, entry=entry, chain=blank) for entry in entries), fleet)
