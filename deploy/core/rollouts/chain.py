r"""The chain of the ledger: who changes a line changes every one after it.

    body  = {"number":…,"at":…,"entry":…}                        JSON, as it was first written
    chain = sha256(chain of the line before + "\n" + body)       64 zeros before the first

A body is kept as the bytes that were hashed: a later version of the program, which may know more fields, must
not have to write the same bytes again. Whoever can replace the whole file can also write a chain of his own;
against that the newest chain is noted elsewhere, and compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from agent.wire.documents import Instant
from agent.wire.errors import Malformed
from agent.wire.topics import Digest, sha256
from deploy.core.rollouts.words import AnyEntry, Line

BEGINNING: Final = Digest("0" * 64)


@dataclass(frozen=True, slots=True)
class Written:
    """A line as it stands on disk."""

    number: int
    body: bytes
    chain: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The first line that is not what was written."""

    number: int
    words: str


class _Body(Struct, frozen=True, kw_only=True):
    number: int
    at: Instant
    entry: AnyEntry


def extend(
    entries: Sequence[AnyEntry], at: datetime, number: int, chain: Digest
) -> tuple[tuple[Written, Line], ...]:
    """The lines that these entries become after the line of this number and chain."""
    lines: list[tuple[Written, Line]] = []
    for each, entry in enumerate(entries, number + 1):
        body = msgspec.json.encode(_Body(number=each, at=at, entry=entry))
        chain = link(chain, body)
        lines.append((Written(each, body, chain), Line(number=each, at=at, entry=entry, chain=chain)))
    return tuple(lines)


def link(before: str, body: bytes) -> Digest:
    return sha256(before.encode() + b"\n" + body)


def first_fault(written: Iterable[Written], number: int = 0, chain: str = BEGINNING) -> Fault | None:
    """What is wrong with lines that should follow the one of this number and chain; None: nothing."""
    for line in written:
        number += 1
        fault = _fault(line, number, chain)
        if fault is not None:
            return fault
        chain = line.chain
    return None


def _fault(line: Written, number: int, before: str) -> Fault | None:
    if line.number != number:
        return Fault(number, f"line {number} is missing: line {line.number} comes in its place")
    if link(before, line.body) != line.chain:
        return Fault(number, f"line {number} is not what was written: its chain does not fit")
    try:
        said = msgspec.json.decode(line.body, type=_Body).number
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Fault(number, f"line {number} is none that this version knows: {error}")
    if said != number:
        return Fault(number, f"line {number} says that it is line {said}")
    return None


def read(line: Written) -> Line:
    """
    Raises:
        Malformed: the line is none that this version knows.
    """
    try:
        body = msgspec.json.decode(line.body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"line {line.number} of the ledger: {error}") from error
    return Line(number=body.number, at=body.at, entry=body.entry, chain=Digest(line.chain))
