"""The append-only memory of what was decided."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from agent.wire.errors import PortError
from agent.wire.topics import DeviceId, Digest
from deploy.core.rollouts.words import AnyEntry, Line


class Outrun(PortError):
    """Somebody else decided meanwhile: read again, and decide again."""


class Ledger(Protocol):
    """One file that the controller and the operator's commands write to, each line chained to the one before.

    Every method but `lines` and `content` is durable when it returns.
    """

    def append(self, entries: Sequence[AnyEntry], *, after: int) -> tuple[Line, ...]:
        """All of these or none, chained and stamped.

        Raises:
            Outrun: `after` is not the number of the newest line.
            StoreFailed: the disk refused.
        """
        ...

    def lines(self, after: int = 0) -> tuple[Line, ...]:
        """Those with a higher number, in order. Numbers begin at 1.

        Raises:
            StoreFailed: the disk refused, or a line is none.
        """
        ...

    def keep(self, content: bytes) -> Digest:
        """Keep what an entry names by its digest; compressed, once."""
        ...

    def content(self, digest: Digest) -> bytes | None: ...

    def sizes(self) -> Mapping[Digest, int]:
        """Bytes on disk of each content that is kept."""
        ...

    def forget(self, digests: Collection[Digest]) -> None:
        """Keep these contents no longer; the lines that name them stay."""
        ...

    def marks(self) -> Mapping[DeviceId, tuple[int, int]]:
        """The highest (boot, number) of a report that was ever believed, by device. It is no decision, so it
        stands beside the chain.
        """
        ...

    def mark(self, marks: Mapping[DeviceId, tuple[int, int]]) -> None: ...
