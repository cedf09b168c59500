"""Which pictures of the fleet the ledger need not keep any longer."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from agent.wire.topics import Digest
from deploy.core.rollouts.state import fold
from deploy.core.rollouts.words import Judged, Line

PICTURES_BYTES: Final = 512 * 1024 * 1024
"""Packed. One of 2,000 devices is 50 kB while 5 % of them are let in, and 530 kB when all are; a rollout that
is held for a week leaves at most forty."""


def outdated(
    lines: Iterable[Line], sizes: Mapping[Digest, int], limit_bytes: int = PICTURES_BYTES
) -> tuple[Digest, ...]:
    """Of rollouts that ended, the oldest first, until the others fit.

    A rollout under way goes on from its first picture, and a controller that begins from the newest of all.

    Args:
        lines: all there are, in their order.
        sizes: what is kept, packed.
        limit_bytes: of all that is kept together.
    """
    known = tuple(lines)
    over = sum(sizes.values()) - limit_bytes
    found: list[Digest] = []
    for digest in _of_ended(known):
        if over <= 0:
            break
        if digest in sizes:
            over -= sizes[digest]
            found.append(digest)
    return tuple(found)


def _of_ended(lines: tuple[Line, ...]) -> Iterator[Digest]:
    """Each once, where it was judged first."""
    fleet = fold(lines)
    judged = [line.entry for line in lines if isinstance(line.entry, Judged)]
    needed = {entry.picture for entry in judged if fleet.rollouts[entry.rollout].outcome is None}
    needed.update(entry.picture for entry in judged[-1:])
    yield from dict.fromkeys(entry.picture for entry in judged if entry.picture not in needed)
