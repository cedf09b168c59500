"""Decides again what the ledger says was decided, from what it says was known then."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from msgspec import structs

from agent.wire.documents import Plan
from agent.wire.errors import Malformed
from agent.wire.topics import Digest
from deploy.core.refusal import Refused
from deploy.core.rollouts import gate, waves
from deploy.core.rollouts.condensed import expand
from deploy.core.rollouts.picture import Picture
from deploy.core.rollouts.state import Fleet, Rollout, fold
from deploy.core.rollouts.words import Judged, Judgement, Line, Steered

Content = Callable[[Digest], bytes | None]
"""What the ledger keeps under a digest."""


class Agreement(StrEnum):
    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"
    """What was known then is not there any more, or a person decided."""


@dataclass(frozen=True, slots=True)
class Replayed:
    number: int
    rollout: str
    agreement: Agreement
    words: str


def replay(lines: Iterable[Line], content: Content) -> Iterator[Replayed]:
    """Every judgement and every plan again.

    Args:
        lines: all there are, in their order.
        content: of the ledger.
    """
    fleet, seen = Fleet(), dict[str, Picture]()
    for line in lines:
        match line.entry:
            case Judged(rollout=name):
                found = _picture(content, line.entry.picture)
                seen |= {} if found is None else {name: found}
                yield _judged(line.number, line.entry, fleet.rollouts[name], found)
            case Steered(rollout=name):
                yield _steered(line.number, line.entry, fleet.rollouts[name], seen.pop(name, None))
            case _:
                pass
        fleet = fold([line], fleet)


def _picture(content: Content, digest: Digest) -> Picture | None:
    kept = content(digest)
    try:
        return None if kept is None else expand(kept)
    except Malformed:
        return None


def _judged(number: int, entry: Judged, rollout: Rollout, picture: Picture | None) -> Replayed:
    if picture is None:
        return Replayed(
            number, entry.rollout, Agreement.UNKNOWN, "its picture of the fleet is not there any more"
        )
    again = gate.judge(rollout, picture)
    if _meant(again) == _meant(entry.judgement):
        return Replayed(number, entry.rollout, Agreement.SAME, f"{again.verdict}: {again.words}")
    words = f"{entry.judgement.verdict} is written, {again.verdict} follows: {again.words}"
    return Replayed(number, entry.rollout, Agreement.OTHER, words)


def _meant(judgement: Judgement) -> Judgement:
    """Without its words, which another version of this program may put otherwise."""
    return structs.replace(
        judgement, findings=tuple(structs.replace(found, words="") for found in judgement.findings)
    )


def _steered(number: int, entry: Steered, rollout: Rollout, picture: Picture | None) -> Replayed:
    """A plan that a person ordered follows from a picture that nobody kept, but for one that takes back."""
    again = _plan(entry, rollout, picture)
    if again is None:
        return Replayed(number, entry.rollout, Agreement.UNKNOWN, f"plan {entry.plan.serial}: {entry.why}")
    if again == entry.plan:
        return Replayed(number, entry.rollout, Agreement.SAME, f"plan {entry.plan.serial}: {entry.why}")
    differing = [name for name in Plan.__struct_fields__ if getattr(again, name) != getattr(entry.plan, name)]
    words = f"plan {entry.plan.serial} differs in {', '.join(differing)} from the one that follows"
    return Replayed(number, entry.rollout, Agreement.OTHER, words)


def _plan(entry: Steered, rollout: Rollout, picture: Picture | None) -> Plan | None:
    try:
        if entry.wave < 0 and rollout.plan is not None:
            return waves.taken_back(rollout, rollout.plan)
        if entry.wave == rollout.wave + 1 and picture is not None:
            return waves.plan(rollout, entry.wave, picture, rollout.plan)
    except Refused:
        return None
    return None
