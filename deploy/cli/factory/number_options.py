"""Numbers as options give them, refused in one voice."""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Reads a whole number between two, both of them allowed; `most` None: there is no end."""
    within = f"from {least} up" if most is None else f"from {least} to {most}"

    def read(text: str) -> int:
        # int() takes signs, blanks, underscores and the digits of every script.
        number = int(text) if text.isascii() and text.isdecimal() else -1
        if number < least or (most is not None and number > most):
            raise ArgumentTypeError(f"{text!r} is not a whole number {within}")
        return number

    return read


def between(least: float, most: float = math.inf) -> Callable[[str], float]:
    """Reads a finite number between two, both of them allowed."""
    within = f"from {least:g} up" if most == math.inf else f"from {least:g} to {most:g}"

    def read(text: str) -> float:
        number = _real(text)
        if not (least <= number <= most and math.isfinite(number)):
            raise ArgumentTypeError(f"{text!r} is not a number {within}")
        return number

    return read


def above(least: float, most: float) -> Callable[[str], float]:
    """Reads a number above one, and at most another."""

    def read(text: str) -> float:
        number = _real(text)
        if not least < number <= most:
            raise ArgumentTypeError(f"{text!r} is not a number above {least:g} and at most {most:g}")
        return number

    return read


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
