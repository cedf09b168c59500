"""Makes a release of model files: contracts, golden set, signed manifest."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.ports.runtime import Runtime
from agent.wire import codec
from agent.wire.documents import Golden, Manifest, ReleaseRef, Variant
from agent.wire.errors import WireError
from agent.wire.topics import sha256
from deploy.core import names, variants
from deploy.core.chunking import cut
from deploy.core.refusal import Refused
from deploy.core.variants import Examined, ModelFile, Options
from deploy.flows.golden import GoldenFrame, golden_set
from deploy.ports.artifacts import Artifacts
from deploy.ports.repository import Repository


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


def release(repository: Repository, artifacts: Artifacts, runtime: Runtime, draft: Draft) -> Released:
    """Keep the files, then sign what they are. The same release twice is one release.

    Raises:
        Refused: the labels are not as many as the classes, or a frame has no finite answer.
        ModelUnloadable: the runtime refuses the model.
        ConfigError: the version was released with other content, or the offline key is not at hand.
        StoreFailed: the disk refused.
    """
    labels = variants.labels_file(draft.variants, draft.labels)
    golden = codec.encode(golden_set(runtime, draft.golden_model or draft.variants[0], draft.frames))
    manifest = _manifest(draft, labels, golden)
    for content in (*(variant.file.content for variant in draft.variants), golden, labels):
        if content is not None:
            artifacts.put(content)
    return Released(repository.add_release(manifest), manifest)


def _manifest(draft: Draft, labels: bytes | None, golden: bytes) -> Manifest:
    taken, given = variants.shared(draft.variants)
    manifest = Manifest(
        name=names.segment("name", draft.name),
        version=names.segment("version", draft.version),
        variants=tuple(_variant(variant) for variant in draft.variants),
        input=taken,
        output=given,
        labels=None if labels is None else cut(labels),
        golden=Golden(artifact=cut(golden), tolerance=draft.tolerance),
        licence=draft.licence,
        description=draft.description,
        provenance=_provenance(draft),
    )
    try:
        return codec.decode(codec.encode(manifest), Manifest)
    except WireError as error:
        raise Refused(f"devices would not accept this release: {error}") from error


def _variant(variant: Examined) -> Variant:
    return Variant(artifact=cut(variant.file.content), file=variant.file.name, delegate=variant.delegate)


def _provenance(draft: Draft) -> dict[str, str]:
    """No instant and no host, so that the same command gives the same manifest."""
    known = {"golden_frames": draft.golden_source}
    if draft.golden_model is not None:
        known["golden_model"] = sha256(draft.golden_model.file.content)
    return known
