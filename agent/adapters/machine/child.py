"""A child process for native code: a library that crashes is a fact about the machine, not the end of us."""

import subprocess
import sys
from typing import Final

from agent.core import exits
from agent.core.findings.child import Died, Late, Unstarted

SUBCOMMAND: Final = "_examine"
LAST_WORDS_MAX_CHARS: Final = 300


def ask(job: bytes, limit_s: float) -> bytes | Died | Late | Unstarted:
    """What a child of this program answers to the job on its standard input.

    Args:
        job: as the subcommand understands it.
        limit_s: after which it is killed.
    """
    argv = [sys.executable, "-P", "-m", "agent", SUBCOMMAND]
    try:
        ended = subprocess.run(argv, input=job, capture_output=True, check=False, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return Late(limit_s)
    except OSError as error:
        return Unstarted(f"{error.filename or argv[0]}: {error.strerror}")
    if ended.returncode == 0:
        return ended.stdout
    return Died(
        exits.in_words(ended.returncode),
        exits.last_line(ended.stderr.decode(errors="replace"))[:LAST_WORDS_MAX_CHARS],
    )
