"""What a library raised, as one line for the operator."""

import re
from typing import Final

_MARKS: Final = re.compile(r"\x1b\[[0-9;]*m|\{\{[^}]*\}\}|\[Op:.*\]")
"""Colours, and names of TensorFlow's own."""
_PREAMBLE: Final = re.compile(r"(in user code:|Exception encountered when calling )")


def one_line(error: BaseException) -> str:
    """The first line that a person can use: Keras says before it where it was called."""
    plain = _MARKS.sub("", str(error))
    lines = [line.strip() for line in plain.splitlines() if line.strip() and not _PREAMBLE.match(line)]
    return (lines[0] if lines else type(error).__name__)[:300]
