"""`--match`: the devices that a rollout is for."""

from collections.abc import Iterable, Sequence

from agent.core.update import matching
from agent.core.update.matching import Facts, Term
from agent.wire.errors import Malformed
from deploy.core.refusal import Refused
from deploy.core.rollouts.picture import Seen


def parse(expressions: Iterable[str]) -> tuple[str, ...]:
    """The terms of all expressions, each as a plan carries it, without repeats.

    An expression is one term or several joined by `&`: `hardware=edgetpu & tag=line-3,line-4`.

    Raises:
        Refused: a term is none.
    """
    texts = [text for expression in expressions for text in expression.split("&")]
    return tuple(dict.fromkeys(str(_term(text)) for text in texts))


def terms(match: Iterable[str]) -> tuple[Term, ...]:
    """
    Raises:
        Refused: a term is none.
    """
    return tuple(_term(text) for text in match)


def _term(text: str) -> Term:
    try:
        return matching.term(text)
    except Malformed as error:
        raise Refused(f"--match: {error}") from error


def unmatched(match: Sequence[Term], seen: Seen) -> Term | None:
    """The first term that does not hold of this device, as it told of itself."""
    return matching.unmatched(match, Facts(seen.id, seen.hardware, frozenset(seen.tags)))
