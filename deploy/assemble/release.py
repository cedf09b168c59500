"""From paths on the command line to a signed release."""

from dataclasses import dataclass
from pathlib import Path

from agent.adapters.runtime_tflite import open_runtime
from agent.wire.documents import Manifest
from deploy.adapters import desk
from deploy.adapters.packer_zstd import ZstandardPacker
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.workspace import ArtifactFolder, Workspace
from deploy.assemble import workspaces
from deploy.core.refusal import Refused
from deploy.core.release import golden, patching, variants, versions
from deploy.core.release.variants import Examined, ModelFile, Options
from deploy.flows import release as flow
from deploy.flows.golden import GoldenFrame
from deploy.flows.release import Draft, Released


@dataclass(frozen=True, slots=True)
class Request:
    """As the operator gives it; paths may not exist."""

    models: tuple[Path, ...]
    name: str
    version: str
    options: Options
    labels: Path | None
    golden: tuple[Path, ...]
    golden_model: Path | None
    tolerance: float
    licence: str
    description: str
    patch_from: str
    """`NAME@VERSION`, `stable`, or `none`; empty: the version before it."""


@dataclass(frozen=True, slots=True)
class Result:
    released: Released
    golden_frames: int
    remarks: tuple[str, ...]
    """What the operator could do better."""


def make(workspace: Workspace, offline_keys: Path | None, request: Request) -> Result:
    """
    Raises:
        Refused: a file cannot be read, or the files cannot be this release.
        RuntimeMissing: no TFLite runtime is installed here.
        ModelUnloadable: the runtime refuses the model that computes the golden outputs.
        ConfigError: the version was released with other content, or the offline key is not at hand.
    """
    repository = workspaces.open_repository(workspace, offline_keys)
    examined, reference = flow.examine(
        [_model_file(path) for path in request.models],
        _model_file(request.golden_model) if request.golden_model else None,
        request.options,
    )
    labels = _model_file(request.labels) if request.labels else None
    frames = _frames(request.golden, examined[0])
    draft = Draft(
        name=request.name,
        version=request.version,
        variants=examined,
        labels=labels,
        frames=frames,
        golden_source="photographs" if request.golden else "synthetic patterns",
        tolerance=request.tolerance,
        golden_model=reference,
        licence=request.licence,
        description=request.description,
        base=patch_base(repository, workspace, request),
    )
    artifacts = ArtifactFolder(workspace.artifacts)
    released = flow.release(repository, artifacts, ZstandardPacker(), open_runtime(), draft)
    return Result(released, len(frames), _remarks(draft))


def patch_base(repository: TufRepository, workspace: Workspace, request: Request) -> Manifest | None:
    """The release that patches are made from.

    Raises:
        Refused: it was named, and there is none.
    """
    releases = repository.releases()
    match request.patch_from:
        case "none":
            return None
        case "":
            ref = patching.before(releases, request.name, request.version)
        case "stable":
            plan = repository.plan(workspace.settings.fleet.stream)
            ref = None if plan is None else plan.stable
            if ref is None:
                raise Refused(
                    f"stream {workspace.settings.fleet.stream} has no stable release yet: name the release "
                    "that devices have with --patch-from NAME@VERSION"
                )
        case named:
            ref = versions.choose(releases, named)
    return None if ref is None else repository.manifest(ref.name, ref.version)


def _remarks(draft: Draft) -> tuple[str, ...]:
    remarks: list[str] = []
    if draft.golden_source != "photographs":
        remarks.append(
            "golden frames are synthetic patterns: photographs of what the cameras see prove more, "
            "give some with --golden"
        )
    if not variants.has_labels(draft.variants, draft.labels):
        remarks.append("there are no labels, predictions will carry class numbers: give some with --labels")
    return tuple(remarks)


def _model_file(path: Path) -> ModelFile:
    return ModelFile(path.name, desk.read(path))


def _frames(places: tuple[Path, ...], model: Examined) -> tuple[GoldenFrame, ...]:
    height, width = model.input.height_px, model.input.width_px
    if not places:
        return tuple(GoldenFrame(pixels, desk.png(pixels)) for pixels in golden.patterns(height, width))
    side = golden.side_px(height, width)
    return tuple(
        GoldenFrame(pixels, desk.png(pixels))
        for path in desk.pictures(places, golden.FRAMES_MAX)
        for pixels in (desk.frame(path, side),)
    )
