"""The table of the worked example, and whether its numbers are what they ought to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deploy.core.factory.conversion.words import Quantize
from deploy.core.factory.evaluation import statistics

POINTS_MAX: Final = 0.3
"""How far, in percentage points, a mode may fall behind its float model."""
SHARES_MAX: Final = {Quantize.DYNAMIC: 0.30, Quantize.FLOAT16: 0.52}
"""Of the float file's bytes."""
GUIDES: Final = {
    Quantize.NONE: "95.80 % and 84,824 bytes [1]; 97.75 % [2]; 96.62 % [3]",
    Quantize.DYNAMIC: "95.79 % and 24,072 bytes [1]",
    Quantize.FLOAT16: "96.62 % [3]",
    Quantize.UINT8: "97.70 % [2]",
}
"""By the guides that `SOURCES` names; the others are not measured there."""
SOURCES: Final = (
    "[1] Post-training dynamic range quantization, [2] Post-training integer quantization, [3] Post-training "
    "float16 quantization: guides of LiteRT (ai.google.dev/edge/litert/conversion/tensorflow/quantization), "
    "trained for one epoch."
)
HEADINGS: Final = ("MODE", "BYTES", "SHARE", "RIGHT", "95 % INTERVAL", "DIFFERENCE", "P", "RUNS ON", "GUIDES")


@dataclass(frozen=True, slots=True)
class Row:
    mode: Quantize
    length: int
    """Of the file, in bytes."""
    right: int
    of: int
    only_float_right: int
    only_this_right: int
    runs_on: tuple[str, ...]

    @property
    def points(self) -> float:
        """Percentage points above the float model."""
        return 100 * (self.only_this_right - self.only_float_right) / self.of


def cells(row: Row, float_length: int) -> tuple[str, ...]:
    interval = statistics.wilson(row.right, row.of)
    chance = statistics.mcnemar(row.only_float_right, row.only_this_right)
    beside = ("", "") if row.mode is Quantize.NONE else (f"{row.points:+.2f} points", f"{chance:.2f}")
    return (
        row.mode.value,
        f"{row.length:,}",
        f"{row.length / float_length:.3f}",
        f"{100 * row.right / row.of:.2f} %",
        f"{100 * interval.low:.2f} to {100 * interval.high:.2f}",
        *beside,
        ", ".join(row.runs_on) or "nothing here",
        GUIDES.get(row.mode, ""),
    )


def faults(rows: Sequence[Row]) -> tuple[str, ...]:
    """What is not as it ought to be, a sentence each.

    Args:
        rows: the first is the float model's.
    """
    parent = rows[0]
    found: list[str] = []
    for row in rows:
        share, share_max = row.length / parent.length, SHARES_MAX.get(row.mode, 1.0)
        if row.points < -POINTS_MAX:
            found.append(
                f"{row.mode} is {-row.points:.2f} points worse than float, at most {POINTS_MAX} are allowed"
            )
        if share > share_max:
            found.append(f"{row.mode} has {share:.3f} of the float file, at most {share_max} are allowed")
        if not row.runs_on:
            found.append(f"{row.mode} runs on no runtime that is installed here")
    return tuple(found)
