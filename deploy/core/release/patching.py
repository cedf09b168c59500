"""From which release a patch is made, and whether it is worth publishing."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from agent.core.update import provision
from agent.wire.documents import Artifact, Manifest, ReleaseRef, Variant
from deploy.core.release import origin, versions

WORTH_SHARE: Final = 0.6
"""Of the packed file: a patch is bytes on the broker besides, for those devices alone that have its base."""


def before(releases: Sequence[ReleaseRef], name: str, version: str) -> ReleaseRef | None:
    """The newest release of the name whose version is lower."""
    own = versions.key(version)
    older = [ref for ref in releases if ref.name == name and versions.key(ref.version) < own]
    return max(older, key=lambda ref: versions.key(ref.version), default=None)


def base_of(variant: Variant, base: Manifest) -> Artifact | None:
    """What the variant's place is taken by in the release before; None where that is the same file, or both
    together are more than a device would take into its memory.
    """
    files = [other.artifact for other in base.variants if other.delegate is variant.delegate]
    fitting = [file for file in files if _fits(file, variant.artifact)]
    return fitting[0] if fitting else None


def is_worth(patch: Artifact, artifact: Artifact, base: Artifact) -> bool:
    """Whether devices that hold the base save enough by it: against the whole, and against the chunks that
    the base does not share.
    """
    held = {chunk.digest for chunk in base.chunks}
    lacking_bytes = provision.published_bytes(c for c in artifact.chunks if c.digest not in held)
    whole_bytes = provision.published_bytes(artifact.chunks)
    return patch.length < min(WORTH_SHARE * whole_bytes, lacking_bytes)


def plain(manifest: Manifest) -> Manifest:
    """What the release is, without how it travels (another version of the packer packs in another way), and
    without the version of this program.
    """
    return replace(
        manifest,
        provenance={name: said for name, said in manifest.provenance.items() if name != origin.TOOL},
        variants=tuple(replace(v, artifact=_bare(v.artifact), patches=()) for v in manifest.variants),
        labels=None if manifest.labels is None else _bare(manifest.labels),
        golden=replace(manifest.golden, artifact=_bare(manifest.golden.artifact)),
    )


def _bare(artifact: Artifact) -> Artifact:
    return replace(artifact, chunks=())


def _fits(base: Artifact, artifact: Artifact) -> bool:
    together = base.length + artifact.length
    return base.digest != artifact.digest and together < provision.PATCH_MEMORY_MAX_BYTES
