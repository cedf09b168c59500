"""What time it is at least, as far as signatures can tell.

A device without a real-time clock may wake years in the past, where expired metadata looks valid. So it
remembers the latest instant at which something that it verified was signed, and never judges expiry by an
earlier one. Such a mark could also lock a device out: a stolen timestamp key, or an operator's clock that
is a year fast, can sign an instant in the future. Hence three rules:

1. Only signed instants move the mark; the device's own clock never does, so one jump of it is forgotten.
2. A mark counts only as long as the root of trust names the very keys that vouched for it: replacing the
   timestamp key is the cure for a mark in the future, as it is for a version number that was run up.
3. While the device's clock follows a time source, the mark is not moved past that clock.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from msgspec import Meta, Struct

ISSUED: Final = "x-shoal-issued"
"""The signed field of root and timestamp that says when they were signed: TUF itself signs only expiries."""

_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
DAWN: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock that is right shows an earlier instant: the program did not exist."""


class Mark(Struct, frozen=True, kw_only=True):
    """The latest signed instant, and the ids of the keys that may have signed it."""

    issued: Annotated[datetime, Meta(tz=True)]
    keys: tuple[str, ...]


def issued_field(at: datetime) -> dict[str, str]:
    """The field to sign: `at` in UTC, to the second."""
    return {ISSUED: at.astimezone(UTC).strftime(_FORMAT)}


def issued_in(fields: Mapping[str, object]) -> datetime | None:
    """When the metadata with these extra fields says that it was signed; None if it does not say."""
    text = fields.get(ISSUED)
    if not isinstance(text, str):
        return None
    try:
        return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def reference(now: datetime, floor: datetime | None, mark: Mark | None, keys: Iterable[str]) -> datetime:
    """The instant against which expiry is judged.

    Args:
        now: the device's clock.
        floor: when the newest trusted root was signed; offline keys signed it, so it binds always.
        mark: what was learnt before, if anything.
        keys: the ids of the timestamp keys that the trusted root names.
    """
    instants = [now, DAWN]
    if floor is not None:
        instants.append(floor)
    if mark is not None and holds(mark, keys):
        instants.append(mark.issued)
    return max(instants)


def holds(mark: Mark, keys: Iterable[str]) -> bool:
    """Whether the mark was vouched for by the keys that are trusted now."""
    return set(mark.keys) == set(keys)


def learn(
    mark: Mark | None, issued: datetime | None, keys: Iterable[str], now: datetime, *, synchronized: bool
) -> Mark | None:
    """The mark after a timestamp has been verified that says it was signed at `issued`."""
    vouching = tuple(sorted(keys))
    known = mark if mark is not None and holds(mark, vouching) else None
    if issued is None:
        return known
    credible = min(issued, now) if synchronized else issued
    if known is not None and known.issued >= credible:
        return known
    return Mark(issued=credible, keys=vouching)


def plausible(now: datetime) -> bool:
    return now >= DAWN


def ahead(last: datetime | None, now: datetime, tolerance: timedelta = timedelta(minutes=5)) -> bool:
    """Whether `last` was signed by a clock that is ahead of this one by more than clocks differ."""
    return last is not None and last > now + tolerance
