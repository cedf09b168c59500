"""A picture of what was taken for what."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib import pyplot as plt

_NUMBERS_MAX: Final = 25
"""With more labels the numbers in the cells would not be read."""
_INCHES_MIN: Final = 4.0
_INCHES_MAX: Final = 20.0


def draw(counts: Sequence[Sequence[int]], labels: Sequence[str], path: Path) -> None:
    """A PNG; the same counts give the same bytes.

    Args:
        counts: pictures by true label (row) and answer (column).
        labels: of rows and columns.
        path: is written.
    """
    table = np.array(counts)
    inches = min(max(_INCHES_MIN, 1.8 + 0.45 * len(labels)), _INCHES_MAX)
    plt.switch_backend("agg")
    figure, axes = plt.subplots(figsize=(inches, inches), layout="constrained")
    try:
        axes.imshow(table / np.maximum(table.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(labels)), labels, rotation=90, parse_math=False)
        axes.set_yticks(range(len(labels)), labels, parse_math=False)
        axes.set_xlabel("answer")
        axes.set_ylabel("label")
        if len(labels) <= _NUMBERS_MAX:
            _number(axes, table)
        figure.savefig(path, format="png", dpi=100, metadata={"Software": None})
    finally:
        plt.close(figure)


def _number(axes: Any, table: Any) -> None:
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    for (row, column), count in np.ndenumerate(table):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)
