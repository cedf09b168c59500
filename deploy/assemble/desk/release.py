"""From paths on the command line to a signed release."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from agent.adapters.runtime_tflite import open_runtime
from agent.core.camera.frames import Pixels
from agent.ports.runtime import Runtime
from agent.wire.documents import Manifest
from deploy.adapters import desk
from deploy.adapters import workspace as files
from deploy.adapters.packer_zstd import ZstandardPacker
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.workspace import ArtifactFolder, Workspace
from deploy.assemble.desk import workspaces
from deploy.core.factory.conversion import calibration
from deploy.core.refusal import Refused
from deploy.core.release import golden, judged, patching, variants, versions
from deploy.core.release.judged import Judged
from deploy.core.release.variants import Examined, ModelFile, Options
from deploy.flows import release as flow
from deploy.flows.golden import GoldenFrame, choose
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
    evaluation: Path | None = None
    """What `shoal evaluate` wrote."""
    patch_from: str = ""
    """`NAME@VERSION`, `stable`, or `none`; empty: the version before it."""
    accept_disagreement: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    released: Released
    golden_frames: int
    remarks: tuple[str, ...]
    """What the operator could do better."""


def make(workspace: Workspace, offline_keys: Path | None, request: Request) -> Result:
    """
    Raises:
        Refused: a file cannot be read, the files cannot be this release, or the variants disagree.
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
    runtime = open_runtime()
    frames = _frames(request.golden, examined[0], reference or examined[0], runtime)
    draft = Draft(
        name=request.name,
        version=request.version,
        variants=examined,
        labels=labels,
        frames=frames,
        golden_source="photographs" if request.golden else "synthetic patterns",
        tolerance=request.tolerance,
        golden_model=reference,
        accept_disagreement=request.accept_disagreement,
        licence=request.licence,
        description=request.description,
        judged=_judged(request.evaluation, examined),
        tool=metadata.version("shoal"),
        base=patch_base(repository, workspace, request),
    )
    artifacts = ArtifactFolder(workspace.artifacts)
    released = flow.release(repository, artifacts, ZstandardPacker(), runtime, draft)
    if request.evaluation is not None:
        kept = workspace.evaluations / f"{released.ref.manifest}.json"
        files.write_file(kept, desk.read(request.evaluation))
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
    if not draft.judged.figures:
        remarks.append(
            "nothing is said of its accuracy: shoal evaluate --data PICTURES -o FILE, then --evaluation FILE"
        )
    remarks += map(_unproven, draft.variants[1:])
    for variant in draft.variants:
        need = variants.need(variant, "the runtime that ran it here")
        if need is not None:
            why = f" ({need.why})" if need.why else ""
            remarks.append(
                f"{variant.file.name} needs runtime {need.runtime}{why}: devices with less hold it"
            )
    return tuple(remarks)


def _model_file(path: Path) -> ModelFile:
    return ModelFile(path.name, desk.read(path))


def _unproven(compiled: Examined) -> str:
    return (
        f"{compiled.file.name} runs on an Edge TPU alone: size, type and classes were compared here; that "
        "it answers alike, each device proves by the golden frames before it serves"
    )


def _judged(path: Path | None, examined: Sequence[Examined]) -> Judged:
    if path is None:
        return judged.UNJUDGED
    return judged.of_release(path.name, judged.read(path.name, desk.read(path)), examined)


def _frames(
    places: tuple[Path, ...], model: Examined, reference: Examined, runtime: Runtime
) -> tuple[GoldenFrame, ...]:
    height, width = model.input.height_px, model.input.width_px
    if not places:
        return tuple(GoldenFrame(pixels, desk.png(pixels)) for pixels in golden.patterns(height, width))
    pictures = _pictures(places, golden.side_px(height, width))
    chosen = [pictures[index] for index in choose(runtime, reference, pictures)]
    return tuple(GoldenFrame(pixels, desk.png(pixels)) for pixels in chosen)


def _pictures(places: tuple[Path, ...], side_px: int) -> list[Pixels]:
    """What golden frames are chosen from: evenly of all folders and files, in an order of their own."""
    found: list[Pixels] = []
    files = [place for place in places if place.suffix.lower() != ".npz"]
    if files:
        taken = calibration.choose(desk.pictures(files), golden.CANDIDATES_MAX)
        found += [desk.frame(Path(each.place), side_px) for each in taken.candidates]
    for path in places:
        if path not in files:
            arrays = desk.arrays(path)
            found += [arrays[index] for index in calibration.evenly(len(arrays), golden.CANDIDATES_MAX)]
    return found
