"""Whether the broker stands where this repository left it: who finds another's work there changes nothing.

Every version of the timestamp that a repository ever signed stays in its folder. So what a broker holds is
told apart without a clock and without a lock: it is ours, older than ours, or somebody else's.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.wire.errors import AgentError, LinkDown


class Fenced(AgentError):
    """Another copy of the workspace steers the fleet: this one has to stop."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the broker holds, as far as it is signed by keys that our root names."""

    timestamp: int | None = None
    """Its version; None: there is none, or a stranger signed it."""
    ours: bytes | None = None
    """What we signed under that version, if we did."""
    content: bytes = b""
    newer_root: bool = False
    """It has a root after ours that ours vouches for."""


@dataclass(frozen=True, slots=True)
class Stands:
    pass


@dataclass(frozen=True, slots=True)
class Behind:
    """The broker lost its memory, was replayed, or the last publication broke off."""

    found: int
    """The version of the timestamp there; 0: none of ours."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """In words, what another copy of the workspace has signed."""

    words: str


Place = Stands | Behind | Elsewhere


def compare(version: int, found: Found) -> Place:
    """
    Args:
        version: of the newest timestamp of ours.
        found: what the broker holds.
    """
    if found.newer_root:
        return Elsewhere("a root of trust newer than the one here")
    if found.timestamp is None:
        return Behind(0)
    if found.timestamp > version:
        return Elsewhere(f"timestamp {found.timestamp}, and the newest here is {version}")
    if found.content != found.ours:
        return Elsewhere(f"another timestamp {found.timestamp} than the one that was signed here")
    return Stands() if found.timestamp == version else Behind(found.timestamp)


def worst(places: Iterable[Place]) -> Place:
    """Of brokers that bear the same fleet: somebody else's work on one of them counts, then the oldest.

    Raises:
        LinkDown: there is none.
    """
    found = tuple(places)
    if not found:
        raise LinkDown("no broker is there")
    elsewhere = next((place for place in found if isinstance(place, Elsewhere)), None)
    behind = [place for place in found if isinstance(place, Behind)]
    return elsewhere or min(behind, key=lambda place: place.found, default=Stands())


def require_ours(place: Place, folder: str) -> None:
    """
    Raises:
        Fenced: somebody else steers the fleet.
    """
    if isinstance(place, Elsewhere):
        raise Fenced(
            f"the broker holds {place.words}: another copy of {folder} steers this fleet, and this one "
            "changes nothing; work there, or, if that copy is lost or stolen, run shoal rotate-keys "
            "timestamp and shoal rotate-keys snapshot here"
        )
