"""A child process for native code: a model that crashes its runtime costs one sentence, not the command.

The job goes in on standard input, one JSON document; each answer comes out as one line of JSON.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, Final

import msgspec

from agent.adapters.pipe_stdio import die_with_parent
from agent.assemble.desk import desk
from agent.assemble.desk.desk import Answer, Job, Load, Loaded, Refused
from agent.assemble.desk.teaching import Capture, Teach
from agent.core import exits
from agent.core.edgetpu import symptoms

SUBCOMMAND: Final = "_native"
LOAD_MAX_S: Final = 60.0
"""For one model to load; a slow card and a cold cache take a few seconds."""

_job: Final[msgspec.json.Decoder[Job]] = msgspec.json.Decoder(Job)
_answer: Final[msgspec.json.Decoder[Answer]] = msgspec.json.Decoder(Answer)


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    commands.add_parser(SUBCOMMAND).set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    """The child's side. Whatever native libraries print goes to standard error, not between the answers."""
    die_with_parent()
    out = os.dup(1)
    os.dup2(2, 1)
    with contextlib.suppress(BrokenPipeError), os.fdopen(out, "wb", buffering=0) as pipe:
        for answer in desk.answers(_job.decode(sys.stdin.buffer.read())):
            pipe.write(msgspec.json.encode(answer) + b"\n")
    return 0


def load(job: Load) -> Loaded | Refused:
    """Whether the model loads here."""
    # A child that dies after its answer has died of this model too: the last word counts.
    *_, last = ask(job, limit_s=LOAD_MAX_S)
    assert isinstance(last, Loaded | Refused)
    return last


def ask(job: Job, limit_s: float = threading.TIMEOUT_MAX) -> Iterator[Answer]:
    """The child's answers as they come; a `Refused` ends them if it dies or takes too long."""
    argv = [sys.executable, "-P", "-m", "agent", SUBCOMMAND]
    with tempfile.TemporaryFile() as errors, _started(argv, errors) as child, _limit(child, limit_s) as late:
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(BrokenPipeError), child.stdin as pipe:
            pipe.write(msgspec.json.encode(job))
        for line in child.stdout:
            yield _answer.decode(line)
        status = child.wait()
        if status != 0:
            yield Refused(
                detail=f"no answer within {limit_s:g} s" if late.is_set() else _death(status, errors, job)
            )


@contextlib.contextmanager
def _started(argv: list[str], errors: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """The child is gone when this ends, however it ends."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as child:
        try:
            yield child
        finally:
            child.kill()


@contextlib.contextmanager
def _limit(child: "subprocess.Popen[bytes]", limit_s: float) -> Iterator[threading.Event]:
    """Kill the child when the time is up; the event tells that it was."""
    late = threading.Event()

    def end() -> None:
        late.set()
        child.kill()

    timer = threading.Timer(limit_s, end)
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _death(status: int, errors: IO[bytes], job: Job) -> str:
    errors.seek(0)
    said = errors.read().decode(errors="replace")
    how = exits.with_last_words(status, said)
    if isinstance(job, Capture):
        return f"the process that read the camera ended with {how}"
    if not isinstance(job, Teach) and job.edgetpu is not None:
        return str(symptoms.died(symptoms.last_cry(said) or how))
    if status < 0:
        return (
            f"the process that ran the model was {how}: "
            "the file is damaged, or it meets a fault of this runtime (try the other one with --runtime)"
        )
    return f"the process that ran the model ended with {how}"
