"""Looking for Edge TPUs: the child process, and what the supervisor asks."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from agent.wire.ipc import EdgeTpu

if TYPE_CHECKING:
    from agent.ports.accelerator import Accelerator

SUBCOMMAND = "edgetpu"


class LookSettings(Struct, frozen=True, kw_only=True):
    edgetpu: EdgeTpu
    opening: bool = False


def accelerator() -> "Accelerator":
    from agent.adapters.child_process import command
    from agent.adapters.edgetpu.host import read
    from agent.adapters.edgetpu.process import EdgeTpuAccelerator

    def argv(edgetpu: EdgeTpu, *, opening: bool) -> Sequence[str]:
        return command(SUBCOMMAND, LookSettings(edgetpu=edgetpu, opening=opening))

    return EdgeTpuAccelerator(argv, read)


def run(settings: LookSettings) -> int:
    """The child: a line of JSON a step. Whatever native libraries print goes to standard error."""
    from agent.adapters.edgetpu.delegate import OpenEdgeTpu
    from agent.adapters.edgetpu.look import look
    from agent.adapters.pipe_stdio import die_with_parent

    die_with_parent()
    out = os.dup(1)
    os.dup2(2, 1)
    opener = OpenEdgeTpu(lambda *_: "closed") if settings.opening else None
    with os.fdopen(out, "wb", buffering=0) as pipe:
        for step in look(settings.edgetpu, opener):
            pipe.write(msgspec.json.encode(step) + b"\n")
    return 0
