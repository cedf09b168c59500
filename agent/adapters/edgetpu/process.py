"""A look at the Edge TPUs from a process that must not load libedgetpu: a child does."""

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from agent.adapters.edgetpu.look import Listed, Opened, Step, Unlinked
from agent.core import exits
from agent.core.edgetpu import symptoms
from agent.core.edgetpu.diagnosis import Host, diagnose
from agent.core.edgetpu.words import Obstacle, Tpu, Trouble
from agent.ports.accelerator import Sight
from agent.wire.ipc import EdgeTpu

LIST_MAX_S: Final = 10.0
"""Mostly for Python to start on a cold card."""
OPEN_MAX_S: Final = 30.0
LAST_WORDS_BYTES: Final = 16 * 1024
"""Of standard error the end tells how the child died; a broken library can print without end."""

_step: Final[msgspec.json.Decoder[Step]] = msgspec.json.Decoder(Step)


class Command(Protocol):
    """The command line of the child: the device, and whether to open it."""

    def __call__(self, edgetpu: EdgeTpu, *, opening: bool) -> Sequence[str]: ...


class EdgeTpuAccelerator:
    """See `agent.ports.accelerator.Accelerator`."""

    def __init__(self, command: Command, host: Callable[[Sequence[Tpu]], Host]) -> None:
        self._command, self._host = command, host

    async def look(self, edgetpu: EdgeTpu, *, opening: bool = False) -> Sight:
        limit_s = OPEN_MAX_S if opening else LIST_MAX_S
        try:
            steps, ended = await _ask(self._command(edgetpu, opening=opening), limit_s)
        except OSError as error:
            return _blind(f"no process can be started to look for Edge TPUs ({error})")
        return await self._sight(edgetpu, steps, ended)

    async def _sight(self, edgetpu: EdgeTpu, steps: list[Step], ended: str) -> Sight:
        version, opened = "", None
        tpus: tuple[Tpu, ...] = ()
        for step in steps:
            match step:
                case Unlinked(obstacle=obstacle, cause=cause, remedy=remedy):
                    return Sight((), Trouble(obstacle, cause, remedy))
                case Listed():
                    version, tpus = step.version, step.tpus
                case Opened(yes=yes):
                    opened = yes
        if ended:
            return Sight(tpus, symptoms.died(ended), version, opened=False)
        host = await asyncio.to_thread(self._host, tpus)
        return Sight(tpus, diagnose(edgetpu.device, tpus, host, opened=opened), version, opened)


def _blind(cause: str) -> Sight:
    return Sight((), Trouble(Obstacle.NOT_ANSWERING, cause, "look at the memory and processes of this host"))


async def _ask(argv: Sequence[str], limit_s: float) -> tuple[list[Step], str]:
    """The child's steps, and how it died; empty where it ended well."""
    child = await asyncio.create_subprocess_exec(*argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    late = False
    async with asyncio.TaskGroup() as group:
        out = group.create_task(child.stdout.read())
        errors = group.create_task(_last_words(child.stderr))
        try:
            async with asyncio.timeout(limit_s):
                await child.wait()
        except TimeoutError:
            late = True
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            status = await child.wait()
    steps = [_step.decode(line) for line in out.result().splitlines()]
    if late:
        return steps, f"no answer within {limit_s:g} s"
    return steps, _death(status, errors.result().decode(errors="replace")) if status else ""


async def _last_words(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while piece := await stream.read(1 << 16):
        kept = (kept + piece)[-LAST_WORDS_BYTES:]
    return kept


def _death(status: int, said: str) -> str:
    return symptoms.last_cry(said) or exits.with_last_words(status, said)
