from pathlib import Path

from agent.core.update.lifecycle import Record
from agent.wire.documents import Artifact
from agent.wire.errors import DiskFull, Malformed, StoreFailed
from agent.wire.topics import Digest, sha256


class MemoryStore:
    """A `Store` in memory. `path` lays a file into the folder when it is asked for, for those who open it."""

    def __init__(self, folder: Path, *, free_bytes: int = 1_000_000_000) -> None:
        self.objects: dict[Digest, bytes] = {}
        self.partials: dict[Digest, dict[int, bytes]] = {}
        self.saved: list[Record] = []
        self.syncs = 0
        self.free_bytes = free_bytes
        self.refuses: StoreFailed | None = None
        """What every write raises."""
        self._folder = folder
        self._running = False
        self._unsafe: list[tuple[Digest, int]] = []

    def load(self) -> Record:
        return self.saved[-1] if self.saved else Record()

    def save(self, record: Record) -> None:
        self._try_to_write()
        self.saved.append(record)

    def mark_running(self) -> bool:
        clean, self._running = not self._running, True
        return clean

    def mark_stopped(self) -> None:
        self._running = False

    def missing(self, artifact: Artifact) -> tuple[int, ...]:
        if self.verify(artifact.digest):
            return ()
        there = self.partials.get(artifact.digest, {})
        return tuple(index for index in range(len(artifact.chunks)) if index not in there)

    def put_chunk(self, artifact: Artifact, index: int, content: bytes) -> None:
        if sha256(content) != artifact.chunks[index].digest:
            raise Malformed(f"chunk {index} of artifact {artifact.digest[:12]} has another digest")
        self._try_to_write()
        self.partials.setdefault(artifact.digest, {})[index] = content
        self._unsafe.append((artifact.digest, index))

    def sync(self, artifact: Artifact) -> None:
        self._try_to_write()
        self.syncs += 1
        self._unsafe = [place for place in self._unsafe if place[0] != artifact.digest]

    def cut_power(self) -> None:
        """What was not made safe is gone; the agent did not go down by its own will."""
        for digest, index in self._unsafe:
            self.partials.get(digest, {}).pop(index, None)
        self._unsafe.clear()

    def assemble(self, artifact: Artifact) -> None:
        missing = self.missing(artifact)
        if missing:
            raise StoreFailed(f"artifact {artifact.digest[:12]} lacks {len(missing)} chunks")
        chunks = self.partials.pop(artifact.digest, None)
        if chunks is None:
            return
        content = b"".join(chunks[index] for index in sorted(chunks))
        if sha256(content) != artifact.digest:
            raise Malformed(f"artifact {artifact.digest[:12]} is not the sum of its chunks")
        self.put(content)

    def put(self, content: bytes) -> Digest:
        self._try_to_write()
        self.objects[sha256(content)] = content
        return sha256(content)

    def piece(self, digest: Digest, start: int, length: int) -> bytes:
        if digest not in self.objects:
            raise StoreFailed(f"could not read {digest[:12]}: No such file or directory")
        return self.objects[digest][start : start + length]

    def path(self, digest: Digest) -> Path:
        path = self._folder / digest
        if digest in self.objects:
            path.write_bytes(self.objects[digest])
        return path

    def verify(self, digest: Digest) -> bool:
        return digest in self.objects and sha256(self.objects[digest]) == digest

    def require(self, new_bytes: int) -> None:
        if new_bytes > self.free_bytes:
            raise DiskFull(f"{new_bytes} bytes are more than the {self.free_bytes} that are free")

    def collect(self, keep: frozenset[Digest]) -> int:
        loose = {digest: len(content) for digest, content in self.objects.items() if digest not in keep}
        for digest in self.partials.keys() - keep:
            loose[digest] = sum(map(len, self.partials.pop(digest).values()))
        for digest in loose:
            self.objects.pop(digest, None)
        return sum(loose.values())

    def _try_to_write(self) -> None:
        if self.refuses is not None:
            raise self.refuses
