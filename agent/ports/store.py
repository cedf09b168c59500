"""Files that survive a power cut, named by their content."""

from pathlib import Path
from typing import Protocol

from agent.core.update.lifecycle import Record
from agent.wire.documents import Artifact
from agent.wire.topics import Digest


class Store(Protocol):
    """Every write but a chunk's is fsynced, file and folder, before the call returns."""

    def load(self) -> Record:
        """The stored record; the one before it where the newest is damaged; an empty one on a new device."""
        ...

    def save(self, record: Record) -> None:
        """
        Raises:
            StoreFailed: the disk refused.
        """
        ...

    def mark_running(self) -> bool:
        """Note that the agent runs; true if it had gone down by its own will the last time."""
        ...

    def mark_stopped(self) -> None: ...

    def missing(self, artifact: Artifact) -> tuple[int, ...]:
        """The indices of the chunks that are not on disk yet, in order; none if the whole file stands."""
        ...

    def put_chunk(self, artifact: Artifact, index: int, content: bytes) -> None:
        """Keep a chunk of an artifact that is being pulled, where it belongs; safe only after `sync`.

        Raises:
            Malformed: the content has not the chunk's digest; nothing was kept.
            StoreFailed: the disk refused.
        """
        ...

    def sync(self, artifact: Artifact) -> None:
        """Make every chunk put so far outlive a power cut: one fsync for several, as each is slow.

        Raises:
            StoreFailed: the disk refused.
        """
        ...

    def assemble(self, artifact: Artifact) -> None:
        """Verify the whole file's digest and give it its final name, by atomic rename.

        Raises:
            Malformed: all chunks were right and the whole is not: the manifest contradicts itself. The
                partial file is gone.
        """
        ...

    def put(self, content: bytes) -> Digest:
        """Keep a file whole that is at hand in memory."""
        ...

    def piece(self, digest: Digest, start: int, length: int) -> bytes:
        """Bytes of a whole file; fewer, or wrong ones, where it is not what it was.

        Raises:
            StoreFailed: it cannot be read.
        """
        ...

    def path(self, digest: Digest) -> Path:
        """Where the file stands; it may not."""
        ...

    def verify(self, digest: Digest) -> bool:
        """Whether the file is on disk with this very content: reads all of it."""
        ...

    def require(self, new_bytes: int) -> None:
        """
        Raises:
            DiskFull: that many new bytes would leave less free space than the floor.
        """
        ...

    def collect(self, keep: frozenset[Digest]) -> int:
        """Delete every file and partial file that is not kept; the bytes freed."""
        ...
