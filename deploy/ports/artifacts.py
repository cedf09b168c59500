"""Where the operator keeps the files of releases."""

from typing import Protocol

from agent.wire.topics import Digest


class Artifacts(Protocol):
    def put(self, content: bytes) -> Digest:
        """Keep the content under its digest; the same content twice is one file."""
        ...

    def get(self, digest: Digest) -> bytes:
        """
        Raises:
            StoreFailed: the file is missing, or its content is no longer what its name says.
        """
        ...
