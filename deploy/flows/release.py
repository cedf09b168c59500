"""Makes a release of model files: contracts, golden set, signed manifest."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from agent.ports.runtime import Runtime
from agent.wire import codec
from agent.wire.documents import ZSTD_PATCH, Artifact, Golden, Manifest, Patch, ReleaseRef, Variant
from agent.wire.errors import StoreFailed, WireError
from deploy.core import names
from deploy.core.refusal import Refused
from deploy.core.release import origin, patching, variants
from deploy.core.release.chunking import cut, pack
from deploy.core.release.judged import UNJUDGED, Judged
from deploy.core.release.variants import Examined, ModelFile, Options
from deploy.flows.golden import GoldenFrame, check, golden_set
from deploy.ports.artifacts import Artifacts
from deploy.ports.packer import Packer
from deploy.ports.repository import Repository

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Draft:
    """What the operator says about a release."""

    name: str
    version: str
    variants: tuple[Examined, ...]
    labels: ModelFile | None
    frames: tuple[GoldenFrame, ...]
    golden_source: str
    """Where the frames came from, for the provenance."""
    tolerance: float
    golden_model: Examined | None = None
    """The model whose outputs are the truth, if it is not the released one."""
    licence: str = ""
    description: str = ""
    judged: Judged = UNJUDGED
    tool: str = ""
    """This program, for the provenance."""
    base: Manifest | None = None
    """The release that devices are likely to have: patches are made from it."""
    accept_disagreement: bool = False
    """Devices refuse it all the same: for trying that they do."""


@dataclass(frozen=True, slots=True)
class Released:
    ref: ReleaseRef
    manifest: Manifest


def examine(
    files: Sequence[ModelFile], golden_model: ModelFile | None, options: Options
) -> tuple[tuple[Examined, ...], Examined | None]:
    """The variants, and the model whose outputs are the truth.

    Raises:
        Refused: the files cannot be one release, or the golden model has other classes.
    """
    paired = variants.pair([variants.examine(file, options) for file in files])
    if golden_model is None:
        return paired, None
    reference = variants.examine(golden_model, options)
    if reference.output.classes != paired[0].output.classes:
        raise Refused(
            f"{golden_model.name} has {reference.output.classes} classes and {paired[0].file.name} has "
            f"{paired[0].output.classes}: golden outputs must be of the same classes"
        )
    return paired, reference


def release(
    repository: Repository, artifacts: Artifacts, packer: Packer, runtime: Runtime, draft: Draft
) -> Released:
    """Keep the files and all that is published of them, then sign what they are.

    The same release twice is one release, whatever packer packs it the second time.

    Raises:
        Refused: the labels are not as many as the classes, a frame has no finite answer, or the variants
            disagree.
        ModelUnloadable: the runtime refuses the model.
        ConfigError: the version was released with other content, or the offline key is not at hand.
        StoreFailed: the disk refused.
    """
    labels = variants.labels_file(draft.variants, draft.labels)
    golden = golden_set(runtime, draft.golden_model or draft.variants[0], draft.frames)
    if draft.golden_model is not None and not draft.accept_disagreement:
        cases = tuple(zip(draft.frames, golden.cases, strict=True))
        check(runtime, draft.variants[0], draft.golden_model.file.name, cases, draft.tolerance)
    kept = _Kept(artifacts, packer, runtime.name)
    manifest = _manifest(draft, labels, codec.encode(golden), kept)
    known = repository.manifest(manifest.name, manifest.version)
    if known is not None and patching.plain(known) == patching.plain(manifest):
        manifest = known
    return Released(repository.add_release(manifest), manifest)


class _Kept:
    """Files on their way into the workspace."""

    def __init__(self, artifacts: Artifacts, packer: Packer, runtime: str) -> None:
        """
        Args:
            artifacts: where they go.
            packer: how they travel.
            runtime: name and version of the one that has run them.
        """
        self._artifacts, self._packer = artifacts, packer
        self.runtime = runtime

    def keep(self, content: bytes) -> Artifact:
        parcel = pack(content, self._packer.pack)
        for piece in (content, *parcel.packed.values()):
            self._artifacts.put(piece)
        return parcel.artifact

    def patch(self, base: Artifact, artifact: Artifact) -> Patch | None:
        """None where it would not be worth its bytes, or the base is no longer here."""
        try:
            old = self._artifacts.get(base.digest)
        except StoreFailed as error:
            log.warning("patch.without-base", extra={"base": base.digest, "error": str(error)})
            return None
        content = self._packer.patch(old, self._artifacts.get(artifact.digest))
        if not patching.is_worth(cut(content), artifact, base):
            return None
        return Patch(
            base=base.digest, base_bytes=base.length, algorithm=ZSTD_PATCH, artifact=self.keep(content)
        )


def _manifest(draft: Draft, labels: bytes | None, golden: bytes, kept: _Kept) -> Manifest:
    taken, given = variants.shared(draft.variants)
    manifest = Manifest(
        name=names.segment("name", draft.name),
        version=names.segment("version", draft.version),
        variants=tuple(_variant(variant, draft.base, kept) for variant in draft.variants),
        input=taken,
        output=given,
        labels=None if labels is None else kept.keep(labels),
        golden=Golden(artifact=kept.keep(golden), tolerance=draft.tolerance),
        licence=draft.licence,
        description=draft.description,
        evaluation=dict(draft.judged.figures),
        provenance=origin.told(
            draft.variants, draft.golden_model, draft.golden_source, draft.tool, draft.judged.data
        ),
    )
    try:
        return codec.decode(codec.encode(manifest), Manifest)
    except WireError as error:
        raise Refused(f"devices would not accept this release: {error}") from error


def _variant(examined: Examined, base: Manifest | None, kept: _Kept) -> Variant:
    artifact = kept.keep(examined.file.content)
    need = variants.need(examined, kept.runtime)
    variant = Variant(
        artifact=artifact,
        file=examined.file.name,
        delegate=examined.delegate,
        minimum_runtime=need.runtime if need else None,
        runtime_reason=need.why if need else "",
    )
    old = None if base is None else patching.base_of(variant, base)
    patch = None if old is None else kept.patch(old, artifact)
    return variant if patch is None else replace(variant, patches=(patch,))
