"""The newest line of the ledger, as it stands in the signed timestamp.

A chain tells that a line was changed, but not that the last ones were cut off, nor that an older copy was
put in its place: both are whole. So the timestamp says which line the ledger had come to when it was signed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from deploy.core.rollouts.chain import Written

LEDGER: Final = "x-shoal-ledger"
"""The signed field of the timestamp: number and chain."""
_HEAD: Final = re.compile(r"([1-9][0-9]{0,15}) ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Head:
    number: int
    chain: str


def ledger_field(head: Head) -> dict[str, str]:
    return {LEDGER: f"{head.number} {head.chain}"}


def head_in(fields: Mapping[str, object]) -> Head | None:
    """What the metadata with these extra fields says; None: nothing."""
    text = fields.get(LEDGER)
    found = _HEAD.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else Head(int(found[1]), found[2])


def lost(head: Head | None, written: Sequence[Written]) -> str:
    """In words, how these lines differ from those that were there; empty: not at all.

    Args:
        head: as it was signed.
        written: the lines from that number on, or more.
    """
    if head is None:
        return ""
    line = next((each for each in written if each.number == head.number), None)
    if line is None:
        return (
            f"it had come to line {head.number} when a timestamp was signed last: lines were cut off its end"
        )
    if line.chain != head.chain:
        return f"line {head.number} is another one than when a timestamp was signed last: it was written anew"
    return ""
