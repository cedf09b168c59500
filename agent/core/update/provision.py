"""What of a release a device lacks, and the shortest way to it.

What it holds already is named by digests, of whole files and of chunks alike: a chunk of an older release is
as good as one from the broker once it has been hashed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.wire.documents import ZSTD_PATCH, Artifact, Chunk, Manifest, Patch, Variant
from agent.wire.topics import Digest

KNOWN: Final = frozenset({ZSTD_PATCH})
PATCH_MEMORY_MAX_BYTES: Final = 134_217_728
"""Base, patch and result together, which applying it needs at once, beside a model that serves."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a whole file a chunk's content stands."""

    file: Digest
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Needed:
    """An artifact of the release, and what makes it of an older one."""

    artifact: Artifact
    patches: tuple[Patch, ...] = ()


def needed(manifest: Manifest, variants: Iterable[Variant]) -> tuple[Needed, ...]:
    """Everything that must stand on disk before these variants can be tried."""
    others = [manifest.golden.artifact, *([manifest.labels] if manifest.labels else [])]
    return (
        *(Needed(variant.artifact, variant.patches) for variant in variants),
        *(Needed(artifact) for artifact in others),
    )


def artifacts(manifest: Manifest) -> tuple[Artifact, ...]:
    """Every file that the manifest names, but for patches."""
    return tuple(need.artifact for need in needed(manifest, manifest.variants))


def places(files: Iterable[Artifact]) -> dict[Digest, Place]:
    """Where the contents of chunks stand, by their digests."""
    found: dict[Digest, Place] = {}
    for file in files:
        start = 0
        for chunk in file.chunks:
            found.setdefault(chunk.digest, Place(file.digest, start, chunk.length))
            start += chunk.length
    return found


def holdings(files: Collection[Artifact]) -> frozenset[Digest]:
    """What a device holds that has these files whole."""
    return frozenset(file.digest for file in files) | places(files).keys()


def published_bytes(chunks: Iterable[Chunk]) -> int:
    """What crosses the line for them: each content once."""
    return sum({chunk.digest: chunk.published_bytes for chunk in chunks}.values())


def patch_for(
    need: Needed, lacking: Sequence[Chunk], whole: Collection[Digest], remaining: Mapping[Digest, int]
) -> Patch | None:
    """The patch that costs fewer bytes than the chunks that are still lacking, if there is one.

    Args:
        need: the artifact.
        lacking: its chunks that are nowhere on disk.
        whole: the files that stand whole on disk.
        remaining: bytes that would still be pulled of a patch, by its artifact's digest, where some of it
            is on disk already.
    """
    fitting = [patch for patch in need.patches if _applies(patch, need.artifact, whole)]
    costs = {p.artifact.digest: remaining.get(p.artifact.digest, _whole_bytes(p.artifact)) for p in fitting}
    best = min(fitting, key=lambda patch: costs[patch.artifact.digest], default=None)
    if best is None or costs[best.artifact.digest] >= published_bytes(lacking):
        return None
    return best


def cost(manifest: Manifest, variants: Iterable[Variant], held: frozenset[Digest]) -> int:
    """How many bytes cross the line for a device that is to run the release.

    Args:
        manifest: the release.
        variants: those that it pulls: with an Edge TPU the one that is compiled for it and its CPU twin.
        held: digests of the whole files and of the chunks that it has, as `holdings` names them.
    """
    total, had = 0, set(held)
    for need in needed(manifest, variants):
        if need.artifact.digest in had:
            continue
        lacking = [chunk for chunk in need.artifact.chunks if chunk.digest not in had]
        patch = patch_for(need, lacking, held, {})
        total += published_bytes(lacking) if patch is None else _whole_bytes(patch.artifact)
        had.update(chunk.digest for chunk in lacking)
    return total


def _applies(patch: Patch, artifact: Artifact, whole: Collection[Digest]) -> bool:
    memory_bytes = patch.base_bytes + patch.artifact.length + artifact.length
    return patch.algorithm in KNOWN and patch.base in whole and memory_bytes <= PATCH_MEMORY_MAX_BYTES


def _whole_bytes(artifact: Artifact) -> int:
    return published_bytes(artifact.chunks)
