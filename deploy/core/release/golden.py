"""Golden frames and what they must give: the proof that a device computes what the desk computed."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from agent.core.camera.frames import Pixels
from agent.core.inference import scores
from agent.core.inference.scores import Scores

FRAMES_MAX: Final = 8
CANDIDATES_MAX: Final = 64
"""Pictures that are looked at for these frames."""
SIDE_MAX_PX: Final = 320
"""Longest side of a golden frame made from a photograph, unless the model looks at more."""
EXPECTED: Final = 5
"""Best classes whose scores are written down for a frame."""


def side_px(height_px: int, width_px: int) -> int:
    """The longest side that a golden frame may have for a model that looks at so many pixels."""
    return max(SIDE_MAX_PX, height_px, width_px)


def expect(found: Scores) -> tuple[tuple[int, float], ...]:
    """The best classes with their scores, best first, as a golden case writes them down.

    Args:
        found: one score a class.
    """
    return tuple((index, round(score, scores.DIGITS)) for index, score in scores.top(found, EXPECTED))


def choose(answers: Sequence[Scores], count: int = FRAMES_MAX) -> tuple[int, ...]:
    """Which pictures prove most: of each class that is named the surest, then the next sure, until there are
    enough. An answer that hardly leads passes whatever a device computes, and a second picture of the same
    class shows little that the first did not.

    Args:
        answers: one number a class, for each picture.
        count: how many frames are wanted.

    Returns:
        Indices, ascending.
    """
    by_class: dict[int, list[tuple[float, int]]] = {}
    for index, found in enumerate(answers):
        (best, score), *rest = scores.top(found, 2)
        lead = score - rest[0][1] if rest else score
        by_class.setdefault(best, []).append((-lead, index))
    turns = [
        (turn, lead, index) for leads in by_class.values() for turn, (lead, index) in enumerate(sorted(leads))
    ]
    return tuple(sorted(index for _, _, index in sorted(turns)[:count]))


def patterns(height_px: int, width_px: int) -> tuple[Pixels, ...]:
    """Eight pictures that are the same on every desk, for releases made without photographs.

    They differ in colour, direction and grain, so that swapped channels, a flipped axis or a wrong
    zero-point show; what they cannot show is how sure the model is on what it was trained to see.

    Returns:
        height x width x 3, uint8, red first.
    """
    y, x = np.mgrid[0:height_px, 0:width_px]
    down, right = y * 255 // max(height_px - 1, 1), x * 255 // max(width_px - 1, 1)
    tile = max(min(height_px, width_px) // 8, 1)
    checks = (y // tile + x // tile) % 2 * 255
    far = (2 * y - height_px) ** 2 + (2 * x - width_px) ** 2
    disc = (far * 4 < min(height_px, width_px) ** 2 * 2) * 255
    rings = (far // (tile * tile)) % 2 * 255
    grain = (x * 73 + y * 151 + x * y * 29) % 256
    mixtures = (
        (right, down, 255 - right),
        (checks, 255 - checks, right),
        (disc, down, 255 - disc),
        (np.full_like(x, 40), rings, down),
        (grain, (grain * 7) % 256, (grain * 13) % 256),
        (255 - down, (down + checks) // 2, (right + disc) // 2),
        ((x % tile) * 255 // tile, (y % tile) * 255 // tile, (checks + rings) // 2),
        (np.full_like(x, 200), 180 - down // 2, 40 + right // 4),
    )
    return tuple(np.stack(channels, axis=-1).astype(np.uint8) for channels in mixtures)
