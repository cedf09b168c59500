"""The child's side of a look: what the library says, one line of JSON after each step.

A step that crashes the process leaves what the steps before it have found.
"""

from collections.abc import Iterator

from msgspec import Struct

from agent.adapters.edgetpu import library as libedgetpu
from agent.adapters.edgetpu import pycoral
from agent.core.edgetpu.words import Obstacle, Tpu
from agent.ports.accelerator import OpenDelegate
from agent.wire.errors import DelegateUnavailable
from agent.wire.ipc import EdgeTpu


class Unlinked(Struct, frozen=True, kw_only=True, tag="unlinked"):
    """The library cannot be loaded."""

    obstacle: Obstacle
    cause: str
    remedy: str


class Listed(Struct, frozen=True, kw_only=True, tag="listed"):
    version: str
    tpus: tuple[Tpu, ...]


class Opened(Struct, frozen=True, kw_only=True, tag="opened"):
    yes: bool


Step = Unlinked | Listed | Opened


def look(edgetpu: EdgeTpu, open_delegate: OpenDelegate | None) -> Iterator[Step]:
    """List the devices, and with `open_delegate` open the one that is asked for, for a moment."""
    try:
        library = libedgetpu.load(edgetpu.library)
        libedgetpu.require_delegate(library, edgetpu.library)
    except libedgetpu.Unusable as error:
        trouble = error.trouble
        yield Unlinked(obstacle=trouble.obstacle, cause=trouble.cause, remedy=trouble.remedy)
        return
    if libedgetpu.lists(library):
        yield Listed(version=libedgetpu.version(library), tpus=libedgetpu.devices(library))
    else:
        yield Listed(version=pycoral.version(), tpus=pycoral.devices())
    if open_delegate is None:
        return
    try:
        open_delegate(edgetpu)
    except DelegateUnavailable:
        yield Opened(yes=False)
    else:
        yield Opened(yes=True)
