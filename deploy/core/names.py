"""Names that operators give: segments of topics and of signed paths."""

import difflib
from collections.abc import Iterable

import msgspec

from agent.wire.documents import Segment
from deploy.core.refusal import Refused


def segment(what: str, text: str) -> str:
    """The text as a name.

    Raises:
        Refused: it would not be one segment of a topic or of a path.
    """
    try:
        return msgspec.convert(text, Segment)
    except msgspec.ValidationError as error:
        raise Refused(
            f"{what} {text[:80]!r}: use 1 to 64 letters, digits, dots, dashes or underscores, "
            "a letter or digit first"
        ) from error


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say after "there is no such name"."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f": did you mean {near[0]!r}?"
    return f": there are {', '.join(names)}" if names else ""
