"""Whom a plan means, by what a device is: one judgement for the operator who counts and the device that
obeys.

A term is `key=value`, `key!=value`, or either with alternatives, `key=this,that`; the keys are `hardware`,
`tag` and `id`. `tag=a,b` holds where the device has one of these tags or more, `tag!=a,b` where it has none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.wire.errors import Malformed
from agent.wire.topics import DeviceId

KEYS: Final = ("hardware", "tag", "id")
_TERM: Final = re.compile(r"\s*(?P<key>[a-z]+)\s*(?P<sign>!?=)(?P<values>[^=&]*)")
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be asked of a device."""

    id: DeviceId
    hardware: str
    tags: frozenset[str] = field(default_factory=frozenset)

    def of(self, key: str) -> frozenset[str]:
        """The device's values for one of `KEYS`."""
        match key:
            case "hardware":
                return frozenset({self.hardware})
            case "id":
                return frozenset({str(self.id)})
            case _:
                return self.tags


@dataclass(frozen=True, slots=True)
class Term:
    key: str
    values: frozenset[str]
    without: bool = False
    """None of the values may be there."""

    def holds(self, facts: Facts) -> bool:
        return self.values.isdisjoint(facts.of(self.key)) is self.without

    def __str__(self) -> str:
        return f"{self.key}{'!=' if self.without else '='}{','.join(sorted(self.values))}"


def term(text: str) -> Term:
    """
    Raises:
        Malformed: it is none, or asks for what this program does not know.
    """
    found = _TERM.fullmatch(text)
    values = [value.strip() for value in found["values"].split(",")] if found else []
    if found is None or found["key"] not in KEYS or not all(values):
        raise Malformed(
            f"{text[:_SHOWN]!r} cannot be judged: write KEY=VALUE, KEY!=VALUE or KEY=THIS,THAT, where KEY is "
            f"one of {', '.join(KEYS)}"
        )
    return Term(found["key"], frozenset(values), without=found["sign"] == "!=")


def unmatched(terms: Sequence[Term], facts: Facts) -> Term | None:
    """The first term that does not hold; all must."""
    return next((each for each in terms if not each.holds(facts)), None)
