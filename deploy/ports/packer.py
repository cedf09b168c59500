"""What makes pieces of files shorter for their way."""

from typing import Protocol


class Packer(Protocol):
    """The same bytes in give the same bytes out, as long as its library stays the same."""

    def pack(self, content: bytes) -> bytes: ...

    def patch(self, base: bytes, content: bytes) -> bytes:
        """What makes the content of the base, by the algorithm `documents.ZSTD_PATCH`; it has been tried.

        It takes up to 300 MB of memory, and a second for each megabyte.
        """
        ...
