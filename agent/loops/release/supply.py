"""Everything that a release needs, onto the disk by the shortest way: from files that are there already, by a
patch of one of them, or chunk by chunk.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.core.update import provision
from agent.core.update.provision import Needed, Place
from agent.core.update.window import Patience
from agent.loops.connection import Connection
from agent.loops.release.fetch import OnProgress, fetch
from agent.ports.clock import Clock
from agent.ports.link import Link
from agent.ports.packing import Packing
from agent.ports.store import Store
from agent.wire.documents import Artifact, Chunk, Patch
from agent.wire.errors import Malformed, Unavailable
from agent.wire.topics import Digest, Root, sha256

log = logging.getLogger(__name__)

Note = Callable[[str, dict[str, str | int | float]], None]


@dataclass(frozen=True, slots=True)
class Pieces:
    """An artifact comes chunk by chunk: some stand in files on disk, the others are pulled."""

    artifact: Artifact
    copied: tuple[tuple[int, Place], ...]
    pulled: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Patched:
    """An artifact comes as a patch of a file on disk."""

    artifact: Artifact
    patch: Patch


@dataclass(frozen=True, slots=True)
class Way:
    """How everything comes."""

    parts: tuple[Pieces | Patched, ...]
    disk_bytes: int
    """What it adds to the disk."""

    @property
    def line_bytes(self) -> int:
        """What it pulls, but for what an earlier run pulled of a patch."""
        return provision.published_bytes(chunk for part in self.parts for chunk in _pulled(part))

    @property
    def copied_bytes(self) -> int:
        pieces = (part for part in self.parts if isinstance(part, Pieces))
        return sum(place.length for part in pieces for _, place in part.copied)

    @property
    def patched(self) -> tuple[Patched, ...]:
        return tuple(part for part in self.parts if isinstance(part, Patched))


@dataclass(frozen=True, slots=True)
class Supply:
    link: Link
    connection: Connection
    topics: Root
    store: Store
    clock: Clock
    packing: Packing
    note: Note
    """Told of what an operator would want to know."""
    on_progress: OnProgress
    patience: Patience = field(default_factory=Patience)
    forgotten: set[Digest] = field(default_factory=set)
    """Patches that did not make what they promised."""

    async def bring(
        self, needs: Sequence[Needed], held: Sequence[Artifact], rate_bytes_s: float = 0.0
    ) -> Way:
        """Return when every artifact stands whole; how it came.

        Args:
            needs: what must stand.
            held: files that should stand whole already, of older releases. What they hold is hashed again.
            rate_bytes_s: how fast it may be downloaded; 0: as fast as it comes.

        Raises:
            Malformed, Unavailable, StoreFailed: as `fetch`.
        """
        way = await asyncio.to_thread(self._look, needs, held)
        await asyncio.to_thread(self.store.require, way.disk_bytes)
        for part in way.patched:
            await self._patch(part, rate_bytes_s)
        if any(part.patch.artifact.digest in self.forgotten for part in way.patched):
            return await self.bring(needs, held, rate_bytes_s)
        await asyncio.to_thread(self._copy, way)
        await self._fetch([need.artifact for need in needs], rate_bytes_s)
        return way

    async def _fetch(self, artifacts: Sequence[Artifact], rate_bytes_s: float) -> None:
        await fetch(
            self.link,
            self.connection,
            self.topics,
            self.store,
            artifacts,
            self.clock,
            self.on_progress,
            packing=self.packing,
            rate_bytes_s=rate_bytes_s,
            patience=self.patience,
        )

    def _look(self, needs: Sequence[Needed], held: Sequence[Artifact]) -> Way:
        standing = [file for file in held if self.store.path(file.digest).exists()]
        places, parts, disk_bytes = provision.places(standing), list[Pieces | Patched](), 0
        for need in needs:
            missing = self.store.missing(need.artifact)
            part = self._part(need, missing, places)
            parts.append(part)
            if isinstance(part, Patched):
                disk_bytes += need.artifact.length + part.patch.artifact.length
            else:
                disk_bytes += sum(need.artifact.chunks[index].length for index in missing)
        return Way(tuple(parts), disk_bytes)

    def _part(self, need: Needed, missing: Sequence[int], places: Mapping[Digest, Place]) -> Pieces | Patched:
        chunks = need.artifact.chunks
        there = tuple((i, places[chunks[i].digest]) for i in missing if chunks[i].digest in places)
        lacking = tuple(chunks[i] for i in missing if chunks[i].digest not in places)
        patch = self._patch_for(need, lacking) if lacking else None
        return Pieces(need.artifact, there, lacking) if patch is None else Patched(need.artifact, patch)

    def _patch_for(self, need: Needed, lacking: Sequence[Chunk]) -> Patch | None:
        patches = tuple(p for p in need.patches if p.artifact.digest not in self.forgotten)
        whole = {patch.base for patch in patches if self.store.verify(patch.base)}
        remaining = {
            patch.artifact.digest: provision.published_bytes(
                patch.artifact.chunks[index] for index in self.store.missing(patch.artifact)
            )
            for patch in patches
            if patch.base in whole
        }
        return provision.patch_for(Needed(need.artifact, patches), lacking, whole, remaining)

    async def _patch(self, part: Patched, rate_bytes_s: float) -> None:
        """What does not work is forgotten, and told: the chunks are there for that."""
        try:
            await self._fetch([part.patch.artifact], rate_bytes_s)
            await asyncio.to_thread(self._apply, part)
        except (Malformed, Unavailable) as error:
            log.warning("patch.failed", extra={"patch": part.patch.artifact.digest, "error": str(error)})
            self.forgotten.add(part.patch.artifact.digest)
            self.note("update.patch-failed", {"patch": part.patch.artifact.digest, "detail": str(error)})

    def _apply(self, part: Patched) -> None:
        artifact, patch = part.artifact, part.patch
        base, stands = self.store.path(patch.base), self.store.path(patch.artifact.digest)
        content = self.packing.apply(base, stands, artifact.length)
        if sha256(content) != artifact.digest:
            raise Malformed(
                f"patch {patch.artifact.digest[:12]} of {patch.base[:12]} makes something else than "
                f"{artifact.digest[:12]}"
            )
        self.store.put(content)

    def _copy(self, way: Way) -> None:
        for part in way.parts:
            if isinstance(part, Pieces) and part.copied:
                self._copy_into(part.artifact, part.copied)

    def _copy_into(self, artifact: Artifact, copied: Sequence[tuple[int, Place]]) -> None:
        """Nothing is taken for what it was: `put_chunk` hashes it, and what has rotted is pulled."""
        for index, place in copied:
            content = self.store.piece(place.file, place.start, place.length)
            try:
                self.store.put_chunk(artifact, index, content)
            except Malformed as error:
                log.warning("chunk.rotten", extra={"file": place.file, "error": str(error)})
        self.store.sync(artifact)


def _pulled(part: Pieces | Patched) -> tuple[Chunk, ...]:
    return part.pulled if isinstance(part, Pieces) else part.patch.artifact.chunks
