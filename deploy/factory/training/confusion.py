"""A picture of what was taken for what."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from deploy.factory import plots

_INCHES_MIN: Final = 4.0
_INCHES_MAX: Final = 20.0


def draw(counts: Sequence[Sequence[int]], labels: Sequence[str], path: Path) -> None:
    """A PNG; the same counts give the same bytes.

    Args:
        counts: pictures by true label (row) and answer (column).
        labels: of rows and columns.
        path: is written.
    """
    inches = min(max(_INCHES_MIN, 1.8 + 0.45 * len(labels)), _INCHES_MAX)
    with mpl.rc_context(plots.style()):
        figure = Figure(figsize=(inches, inches), layout="constrained", dpi=100)
        plots.matrix(figure.subplots(), np.array(counts), labels)
        figure.savefig(path, format="png", metadata={"Software": None})
