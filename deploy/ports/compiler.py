"""Whoever compiles models for the Edge TPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Job:
    """One run of the compiler. Several models in one run share the memory on the chip."""

    models: Sequence[Path]
    runtime: int | None = None
    """The oldest version of the Edge TPU runtime that must run it; None: the compiler's own choice."""
    segments: int | None = None
    """Into how many files, for as many Edge TPUs in a row; None: one."""
    search: bool = False
    """Where the whole cannot be compiled, look for the largest part that can."""
    subgraphs: bool = False
    """Let it come back to the Edge TPU after operators that ran on the CPU (experimental)."""
    timeout_s: int | None = None
    """That it may take; None: the compiler's own limit, three minutes."""


@dataclass(frozen=True, slots=True)
class Ran:
    status: int
    """As `subprocess` has it: below zero, the number of a signal."""
    printed: str
    """Standard output and error."""
    waited_s: int | None = None
    """After so long it was ended from outside, since it kept no limit; None: it ended by itself."""


class Compiler(Protocol):
    def run(self, job: Job, out: Path) -> Ran:
        """Whatever it writes goes into the folder `out`.

        Raises:
            CompilerMissing: it is not installed here.
        """
        ...
