"""Which pictures show best where a model errs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deploy.core.factory.evaluation import figures
from deploy.core.factory.evaluation.seen import ArrayFile, PictureFiles, Seen, Shown

EXAMPLES: Final = 12


@dataclass(frozen=True, slots=True)
class Chosen:
    place: int
    """Among the pictures."""
    truth: int
    """A class of the shared list; what the reference names where nobody says the truth."""
    named: int | None
    score: float


def truths(shown: Shown) -> tuple[int | None, ...]:
    match shown:
        case PictureFiles(pictures=pictures):
            return tuple(picture.truth for picture in pictures)
        case ArrayFile(truths=found):
            return found


def worst(
    seen: Sequence[Seen], said: Sequence[int | None], held: Sequence[Seen] | None
) -> tuple[Chosen, ...]:
    """The pictures that it gets wrong and is surest about.

    Args:
        seen: the model's answers.
        said: the truth, where somebody says it.
        held: the reference's answers, which stand in for the truth.
    """
    found = []
    for place, (each, truth) in enumerate(zip(seen, said, strict=True)):
        ought = truth if truth is not None else (None if held is None else figures.first(held[place]))
        if ought is not None and figures.first(each) != ought:
            found.append(Chosen(place, ought, figures.first(each), figures.confidence(each)))
    return tuple(sorted(found, key=lambda each: (-each.score, each.place))[:EXAMPLES])
