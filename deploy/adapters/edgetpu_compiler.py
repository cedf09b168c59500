"""Coral's `edgetpu_compiler`, a program of its own that comes from Coral's package repository.

Source of its options: coral.ai/docs/edgetpu/compiler, table 1.
"""

import contextlib
import os
import platform
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.core.factory.edgetpu import compiler_missing
from deploy.core.factory.edgetpu.compiler_missing import CompilerMissing
from deploy.ports.compiler import Job, Ran

PROGRAM: Final = "edgetpu_compiler"
_LIMIT_S: Final = 180
"""Its own for one compilation, where none is given."""
_GRACE_S: Final = 60


class EdgeTpuCompiler:
    def __init__(self, program: str = PROGRAM, grace_s: int = _GRACE_S) -> None:
        """
        Args:
            program: a name to be found in PATH, or a path.
            grace_s: what it may take beyond the limits that it should keep itself.
        """
        self._program = program
        self._grace_s = grace_s

    def run(self, job: Job, out: Path) -> Ran:
        """
        Raises:
            CompilerMissing: it is not installed here.
        """
        found = shutil.which(self._program)
        if found is None:
            raise CompilerMissing(compiler_missing.in_words(platform.system(), platform.machine()))
        try:
            return _ran([found, *arguments(job, out)], _patience_s(job, self._grace_s))
        except OSError as error:
            raise CompilerMissing(f"{found} cannot be started: {error.strerror}") from error


def arguments(job: Job, out: Path) -> list[str]:
    """Options first, then the models: it takes what follows the first model for models too."""
    timeout = [] if job.timeout_s is None else ["--timeout_sec", str(job.timeout_s)]
    runtime = [] if job.runtime is None else ["--min_runtime_version", str(job.runtime)]
    segments = [] if job.segments is None else ["--num_segments", str(job.segments)]
    search = ["--search_delegate"] if job.search else []
    several = ["-a"] if job.subgraphs else []
    return [
        "--show_operations",
        "--out_dir",
        str(out),
        *timeout,
        *runtime,
        *segments,
        *search,
        *several,
        *(str(model.resolve()) for model in job.models),
    ]


def _patience_s(job: Job, grace_s: int) -> int | None:
    """A search compiles as often as it likes, so nothing can be said of it."""
    if job.search:
        return None
    return grace_s + (job.timeout_s or _LIMIT_S) * len(job.models) * (job.segments or 1)


def _ran(command: Sequence[str], patience_s: int | None) -> Ran:
    # It compiles in a child of its own, which must not outlive an operator who interrupts.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as running:
        waited_s = None
        try:
            printed, _ = running.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            _end(running.pid)
            printed, _ = running.communicate()
            waited_s = patience_s
        except BaseException:
            _end(running.pid)
            raise
    return Ran(running.returncode, printed.decode(errors="replace"), waited_s)


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
