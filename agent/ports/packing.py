"""What travels shorter than it is, back to what it was."""

from pathlib import Path
from typing import Protocol


class Packing(Protocol):
    """Whoever calls has looked at the digest of the packed bytes; the digest of what comes out is still to be
    looked at.
    """

    def unpack(self, packed: bytes, length: int) -> bytes:
        """The content of exactly this length.

        Raises:
            Malformed: it is not packed, or unpacks into another length; no more than that is ever allocated.
        """
        ...

    def apply(self, base: Path, patch: Path, length: int) -> bytes:
        """What the patch makes of the base: exactly this length. The memory for it is that of the base, the
        patch and the result.

        Raises:
            Malformed: it is no patch, or not of this base.
            StoreFailed: a file cannot be read.
        """
        ...
