"""Names of a model's classes, in the order of its output."""

import re
from collections.abc import Sequence
from typing import Final

from agent.core.tflite import flatzip
from agent.core.tflite.flatmodel import ModelFacts
from agent.wire.errors import Malformed

_INDEXED: Final = re.compile(r"\s*(\d{1,5})(?:\s*:\s*|\s+)(\S.*)")


def parse(content: bytes) -> tuple[str, ...]:
    """One label a line; where every line starts with a growing number (`7 goldfinch`, `7: goldfinch`), that
    is the class, and classes left out have no name.

    Raises:
        Malformed: it is not text, or holds no label.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(
            f"the labels are not UTF-8 text: {error.reason} at byte {error.start}; save them as UTF-8"
        ) from error
    lines = [line.strip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise Malformed("the labels file is empty: write one name a line")
    return _by_index(lines) or tuple(lines)


def written(labels: Sequence[str]) -> bytes:
    """A labels file that `parse` reads as these labels.

    Raises:
        Malformed: no file says them, because one has a line break in it or white space at an end, or the last
            has no letters.
    """
    plain = "".join(f"{label}\n" for label in labels).encode()
    if parse(plain) == tuple(labels):
        return plain
    # Labels that begin with numbers of their own are told from numbered ones by a number before all of them.
    numbered = "".join(f"{index}: {label}\n" for index, label in enumerate(labels) if label).encode()
    if parse(numbered) == tuple(labels):
        return numbered
    odd = next((label for label in labels if label.split() != label.split(" ")), labels[-1])
    raise Malformed(f"the label {odd!r} cannot stand on a line of a labels file: name it otherwise")


def _by_index(lines: Sequence[str]) -> tuple[str, ...] | None:
    entries = [_INDEXED.fullmatch(line) for line in lines if line]
    named = {int(entry[1]): entry[2] for entry in entries if entry is not None}
    indices = list(named)
    if len(named) != len(entries) or indices != sorted(indices):
        return None
    return tuple(named.get(index, "") for index in range(indices[-1] + 1))


def embedded(content: bytes, facts: ModelFacts) -> tuple[str, ...] | None:
    """The labels appended to the model; None where there are none, or no telling which file they are.

    Raises:
        Malformed: they are there and cannot be read.
    """
    declared = None if facts.card is None else facts.card.labels_file
    texts = [name for name in facts.files if name.lower().endswith(".txt")]
    names = [name for name in facts.files if name == declared] or (
        texts if len(texts) == 1 else [text for text in texts if "label" in text.lower()]
    )
    return parse(flatzip.member(content, names[0])) if names else None


def mismatch(labels: Sequence[str], classes: int) -> str | None:
    """In words, why these labels cannot be the names of that many classes; None if they can."""
    if len(labels) == classes:
        return None
    hint = (
        "; the model may count a background class 0 that the list lacks" if len(labels) == classes - 1 else ""
    )
    return f"{len(labels)} labels for {classes} classes{hint}"
