"""Pictures of one moment: frames of a film, bursts, and the same photograph saved twice look nearly alike.

Where one of them teaches and another judges, the share of right answers tells of what was learnt by heart.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Print = NDArray[np.uint8]
"""A picture at so small a size that only what fills it remains."""

SIDE_PX: Final = 12
_LEVELS: Final = 6.0
"""Of 255, root mean square over a print: noise, another compression or a small movement remain below."""
_ROWS: Final = 512
"""Compared with all others at once."""


def groups(prints: Sequence[Print]) -> tuple[int, ...]:
    """For each picture the first one of its group, by number.

    A group is joined by being nearly alike one of it: a film is one group, however far it goes.

    Args:
        prints: all of one shape.
    """
    firsts = np.arange(len(prints))
    for near in _near(prints):
        joined = np.unique(firsts[near])
        if len(joined) > 1:
            firsts[np.isin(firsts, joined)] = joined[0]
    return tuple(firsts.tolist())


def _near(prints: Sequence[Print]) -> Iterator[NDArray[np.bool_]]:
    """For each picture in turn, which ones are nearly alike it; itself among them."""
    if not prints:
        return
    rows = np.stack(prints).reshape(len(prints), -1).astype(np.float32)
    # About the mean, so that squares of what all have in common do not drown the difference.
    rows -= rows.mean(axis=0)
    squares = np.square(rows).sum(axis=1)
    limit = _LEVELS**2 * rows.shape[1]
    for start in range(0, len(rows), _ROWS):
        block = slice(start, start + _ROWS)
        yield from squares[block, np.newaxis] + squares - 2 * rows[block] @ rows.T <= limit
