"""The Edge TPUs of this host: what is plugged in, and one opened."""

from dataclasses import dataclass
from typing import Protocol

from agent.core.edgetpu.words import Finding, Tpu
from agent.wire.ipc import EdgeTpu


@dataclass(frozen=True, slots=True)
class Sight:
    """`tpus` are all there are; `finding` is about the one that was asked for."""

    tpus: tuple[Tpu, ...]
    finding: Finding
    version: str = ""
    """Of the library, as `RuntimeVersion(14)`; empty where it cannot be loaded."""
    opened: bool | None = None
    """Whether it was opened as a trial; None: that was not tried."""

    @property
    def names(self) -> tuple[str, ...]:
        """As `Capabilities.edgetpu` has them: usb:0, pci:0."""
        return tuple(tpu.name for tpu in self.tpus)


class Accelerator(Protocol):
    async def look(self, edgetpu: EdgeTpu, *, opening: bool = False) -> Sight:
        """What is plugged in; takes some 0.1 s, with `opening` up to ten.

        Args:
            edgetpu: the library to ask, and the device that is wanted.
            opening: also open the device for a moment. It fails where the worker has it open.

        Never raises: what keeps from looking is a `Trouble`.
        """
        ...


class Delegate(Protocol):
    """An open Edge TPU. It is let go when nothing refers to this any more."""

    pointer: int
    """A `TfLiteDelegate*` for `ModifyGraphWithDelegate`."""
    device: str
    """What was opened, in words: `usb:0`, `the only one`, ..."""
    version: str
    """Of the library."""


class OpenDelegate(Protocol):
    def __call__(self, edgetpu: EdgeTpu) -> Delegate:
        """Open it, in up to ten seconds, in which other Python threads run.

        Raises:
            DelegateUnavailable: with its cause and remedy.
        """
        ...
