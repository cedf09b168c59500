"""From model files and data to a report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from msgspec.structs import replace

from agent.core.inference import labels as label_files
from agent.core.serving.delegate import RuntimeChoice
from agent.wire.documents import Fit, Normalization
from agent.wire.errors import Malformed
from agent.wire.topics import sha256
from deploy.adapters import desk, evaluation_data
from deploy.adapters.evaluation_data import Given
from deploy.adapters.factory_process import FactoryProcess
from deploy.adapters.packer_zstd import ZstandardPacker
from deploy.core.factory.died import FactoryDied
from deploy.core.factory.evaluation import examples, figures, naming, verdicts
from deploy.core.factory.evaluation.document import Model, ModelSaid, Report
from deploy.core.factory.evaluation.naming import Named, Shared
from deploy.core.factory.evaluation.seen import (
    ArrayFile,
    Asked,
    Candidate,
    Evaluate,
    Evaluated,
    Picture,
    PictureFiles,
    Shown,
)
from deploy.core.factory.evaluation.verdicts import Marked
from deploy.core.factory.orders import Order
from deploy.core.factory.words import Progress
from deploy.core.refusal import Refused
from deploy.core.release import chunking, variants
from deploy.core.release.variants import Examined, ModelFile, Options
from deploy.ports.factory import OnProgress


@dataclass(frozen=True, slots=True)
class Request:
    """As the operator gives it; paths may not exist."""

    models: tuple[Path, ...]
    data: tuple[Path, ...]
    reference: Path | None = None
    labels: Path | None = None
    limit: int | None = None
    threads: int = 1
    runtimes: tuple[RuntimeChoice, ...] = (RuntimeChoice.AUTO,)
    fit: Fit = Fit.CENTRE_CROP
    normalization: Normalization | None = None
    layers: bool = False
    """Every layer is held against the reference's, too."""
    known_only: bool = False
    """Pictures whose label no model knows are left out."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A model on one runtime."""

    path: Path
    examined: Examined
    runtime: RuntimeChoice
    name: str
    classes: tuple[int, ...]
    """Places in the shared list."""

    def candidate(self, request: Request) -> Candidate:
        return Candidate(
            place=str(self.path.resolve()),
            runtime=self.runtime,
            classes=self.classes,
            fit=request.fit,
            normalization=request.normalization,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    report: Report
    contenders: tuple[Contender, ...]
    """In the report's order."""
    asked: tuple[Asked, ...]
    """Same."""
    shown: Shown
    """What was answered, in the order of the answers."""
    labels: tuple[str, ...]
    """The shared list."""


def evaluate(request: Request, on_progress: OnProgress) -> Judged:
    """
    Raises:
        Refused: a file cannot be read, the models cannot be compared, or their classes are not those of the
            data.
    """
    given = evaluation_data.read(request.data, request.limit)
    contenders, shared, reference = _contenders(request)
    shown, remarks = _shown(given, shared, known_only=request.known_only)
    if reference is None and not given.labelled and len(contenders) > 1:
        reference = 0
        remarks.append(
            f"the data have no labels: the others are held against {contenders[0].name}; --reference names "
            "another one"
        )
    order = Evaluate(
        candidates=tuple(each.candidate(request) for each in contenders),
        shown=shown,
        reference=reference,
        threads=request.threads,
    )
    answer = carry_out(order, on_progress)
    assert isinstance(answer, Evaluated)
    shown = _only(shown, answer.used)
    models = _models(request, given, contenders, shared, (answer, shown, reference))
    ranked = sorted(range(len(models)), key=lambda place: _rank(models[place]))
    report = Report(
        models=tuple(models[place] for place in ranked),
        reference=None if reference is None else ranked.index(reference),
        pairs=verdicts.pairs(_marked(contenders, answer, ranked)) if given.labelled else (),
        remarks=(*shared.remarks, *remarks, *_passed_over(answer), *_not_finite(models)),
    )
    return Judged(
        report,
        tuple(contenders[place] for place in ranked),
        tuple(answer.asked[place] for place in ranked),
        shown,
        shared.told,
    )


def carry_out(order: Order, on_progress: OnProgress) -> object:
    """
    Raises:
        Refused: in particular the runtime's process died; the sentence names the model it was at.
    """
    last = ""

    def heard(progress: Progress) -> None:
        nonlocal last
        last = progress.what
        on_progress(progress)

    try:
        return FactoryProcess().carry_out(order, heard)
    except FactoryDied as died:
        raise Refused(
            f"the runtime's process died while {last or 'starting'}: the file is damaged, or this runtime "
            f"cannot compute it ({died})"
        ) from died


def examine(path: Path, labels: Path | None, request: Request) -> tuple[Examined, Named]:
    """
    Raises:
        Refused: it is no image classifier, is compiled for an Edge TPU, or its labels cannot be read.
    """
    examined = variants.examine(
        ModelFile(path.name, desk.read(path)), Options(request.fit, request.normalization)
    )
    if examined.facts.edgetpu:
        raise Refused(
            f"{path.name} is compiled for an Edge TPU, which no desk computes: evaluate the file that it was "
            "compiled from, it gives the same answers, or classify on a device that has one"
        )
    classes = examined.output.classes
    inside = _labels(path.name, examined, None)
    given = inside if labels is None else _labels(labels.name, examined, labels)
    for names in (given, inside):
        if names and label_files.mismatch(names, classes) is None:
            return examined, Named(path.name, classes, names)
    fault = label_files.mismatch(given, classes) if given else None
    said = f"{'the labels inside it' if labels is None else labels.name}: {fault}" if fault else ""
    return examined, Named(path.name, classes, (), said)


def _labels(name: str, examined: Examined, given: Path | None) -> tuple[str, ...]:
    try:
        if given is not None:
            return label_files.parse(desk.read(given))
        return label_files.embedded(examined.file.content, examined.facts) or ()
    except Malformed as error:
        raise Refused(f"{name}: {error}") from error


def _contenders(request: Request) -> tuple[list[Contender], Shared, int | None]:
    paths = list(dict.fromkeys(path.resolve() for path in request.models))
    reference = None if request.reference is None else request.reference.resolve()
    if reference is not None and reference not in paths:
        paths.append(reference)
    read = [examine(path, request.labels, request) for path in paths]
    shared = naming.shared([named for _, named in read])
    contenders = [
        Contender(path, examined, runtime, _name(path, runtime, paths, request), classes)
        for path, (examined, _), classes in zip(paths, read, shared.classes, strict=True)
        for runtime in request.runtimes
    ]
    place = None if reference is None else paths.index(reference) * len(request.runtimes)
    return contenders, shared, place


def _name(path: Path, runtime: RuntimeChoice, paths: Sequence[Path], request: Request) -> str:
    """The file's; with its folder where several are called the same."""
    alike = Counter(each.name for each in paths)[path.name] > 1
    name = f"{path.parent.name}/{path.name}" if alike else path.name
    return f"{name} ({runtime})" if len(request.runtimes) > 1 else name


def _shown(given: Given, shared: Shared, *, known_only: bool) -> tuple[Shown, list[str]]:
    wanted = dict.fromkeys(label for label in given.labels if label is not None)
    found = naming.find(wanted, shared)
    if found.unknown and (not known_only or not found.places):
        raise Refused(naming.missing(found.unknown, len(wanted), shared))
    common = frozenset.intersection(*map(frozenset, shared.classes))
    truths = [None if label is None else found.places.get(label) for label in given.labels]
    kept = [
        place
        for place, (label, truth) in enumerate(zip(given.labels, truths, strict=True))
        if (label is None and not given.labelled) or truth in common
    ]
    if not kept:
        raise Refused("no picture's label is known to all models: nothing can be compared")
    shown = _chosen(given, [truths[place] for place in kept], kept)
    remarks = _left_out(given, len(kept))
    if found.counted and len(set(shared.classes)) > 1:
        remarks.append("the data name classes by number: these are the places in the first model's list")
    return shown, remarks


def _left_out(given: Given, kept: int) -> list[str]:
    count = len(given.labels)
    bare = given.labels.count(None) if given.labelled else 0
    left_out = (
        (bare, "nobody says what is on them"),
        (count - kept - bare, "not every model knows their label"),
    )
    return [f"{left} of {count} pictures are left out: {why}" for left, why in left_out if left > 0]


def _chosen(given: Given, truths: Sequence[int | None], kept: Sequence[int]) -> Shown:
    if given.array:
        rows = tuple(given.rows[place] for place in kept)
        return ArrayFile(place=given.places[0], rows=rows, truths=tuple(truths))
    return PictureFiles(
        pictures=tuple(Picture(given.places[place], truth) for place, truth in zip(kept, truths, strict=True))
    )


def _only(shown: Shown, used: Sequence[int]) -> Shown:
    match shown:
        case PictureFiles(pictures=pictures):
            return PictureFiles(pictures=tuple(pictures[place] for place in used))
        case ArrayFile():
            return replace(
                shown,
                rows=tuple(shown.rows[place] for place in used),
                truths=tuple(shown.truths[place] for place in used),
            )


def _models(
    request: Request,
    given: Given,
    contenders: Sequence[Contender],
    shared: Shared,
    answers: tuple[Evaluated, Shown, int | None],
) -> list[Model]:
    answer, shown, reference = answers
    models = []
    for place, (contender, asked) in enumerate(zip(contenders, answer.asked, strict=True)):
        evaluation = figures.evaluation(
            _said(contender, asked, request, tensors=given.floats),
            asked.seen,
            examples.truths(shown),
            shared.told,
            (f"shoal {metadata.version('shoal')}", given.digest),
        )
        if reference is not None and place != reference:
            held = figures.beside(
                sha256(contenders[reference].examined.file.content), answer.asked[reference].seen, asked.seen
            )
            evaluation = replace(evaluation, beside=held)
        models.append(Model(evaluation=evaluation, latency=figures.latency(asked.seen)))
    return models


def _said(contender: Contender, asked: Asked, request: Request, *, tensors: bool) -> ModelSaid:
    content = contender.examined.file.content
    parcel = chunking.pack(content, ZstandardPacker().pack)
    return ModelSaid(
        file=contender.name,
        digest=parcel.artifact.digest,
        length=len(content),
        pulled=sum(chunk.published_bytes for chunk in parcel.artifact.chunks),
        arithmetic=contender.examined.facts.arithmetic.value,
        runtime=asked.runtime,
        delegate=asked.delegate,
        threads=request.threads,
        fit=request.fit,
        tensors=tensors,
    )


def _rank(model: Model) -> tuple[float, float, int, str]:
    evaluation = model.evaluation
    top1 = evaluation.accuracy.top1.share if evaluation.accuracy else 0.0
    # The reference agrees with itself.
    agreement = evaluation.beside.same_first.share if evaluation.beside else 1.0
    return -top1, -agreement, evaluation.model.pulled, evaluation.model.file


def _marked(contenders: Sequence[Contender], answer: Evaluated, ranked: Sequence[int]) -> list[Marked]:
    return [
        Marked(contenders[place].name, tuple(map(figures.right, answer.asked[place].seen)))
        for place in ranked
    ]


def _passed_over(answer: Evaluated) -> list[str]:
    count = len(answer.passed_over)
    if not count:
        return []
    were = "1 picture was" if count == 1 else f"{count} pictures were"
    return [f"{were} passed over{', the first because' if count > 1 else ''}: {answer.passed_over[0]}"]


def _not_finite(models: Sequence[Model]) -> list[str]:
    return [
        f"{model.evaluation.model.file} answers {model.evaluation.not_finite} of {model.evaluation.pictures} "
        "pictures with NaN or infinity: these count as wrong, and no device accepts such a model"
        for model in models
        if model.evaluation.not_finite
    ]
