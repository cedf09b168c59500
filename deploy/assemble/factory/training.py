"""From a folder of labelled pictures to a Keras model with its labels, and on to a quantized file."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from msgspec import structs

from agent.core.tflite.flatmeta import Card
from agent.wire.documents import Fit, Normalization
from agent.wire.errors import StoreFailed
from deploy.adapters.factory_process import FactoryProcess
from deploy.adapters.registry_pooch import models_folder
from deploy.adapters.whole_file import FOR_ALL, make_folder, write_whole
from deploy.assemble.factory import converting
from deploy.core.factory.conversion.words import Quantize
from deploy.core.factory.training.bases import Network
from deploy.core.factory.training.words import Train, Trained
from deploy.core.factory.words import Look, Representative, Source, SourceKind
from deploy.core.refusal import Refused
from deploy.ports.factory import Factory, OnProgress

_FOLDER: Final = 0o755
_SHIPPED: Final = "efficientnet_lite0/efficientnet_lite0_224_float16.tflite"
_BASES: Final = frozenset({".keras", ".h5", ".tflite"})


@dataclass(frozen=True, slots=True)
class Further:
    """Straight on from the Keras model to what devices run."""

    out: Path
    quantize: Quantize
    card: Card


@dataclass(frozen=True, slots=True)
class Request:
    """As the operator gives it; paths may not exist."""

    images: Path
    base: str
    """A network's name, or the path of a model."""
    out: Path
    side_px: int
    fit: Fit
    normalization: Normalization | None
    seed: int
    epochs: int
    dropout: float
    views: int
    mirror: bool
    fine_tune_layers: int
    fine_tune_epochs: int
    further: Further | None = None


@dataclass(frozen=True, slots=True)
class Result:
    trained: Trained
    model: Path
    labels: Path
    confusion: Path
    converted: converting.Result | None


def train(request: Request, on_progress: OnProgress, factory: Factory | None = None) -> Result:
    """Writes the model, its labels and what it confuses; then, if wanted, the converted model, calibrated
    with pictures that taught it.

    Raises:
        Refused: pictures or base cannot be used, and nothing was written; or the model that was written
            cannot be converted as wanted.
        FactoryDied: the process ended without an answer, likewise.
        StoreFailed: the disk refused.
    """
    _check(request)
    make_folder(request.out.absolute().parent, _FOLDER)
    with tempfile.TemporaryDirectory(prefix="shoal-train-") as scratch:
        calibration = Path(scratch, "calibration")
        calibration.mkdir()
        order = _order(request, Path(scratch), calibration)
        answer = (factory or FactoryProcess()).carry_out(order, on_progress)
        assert isinstance(answer, Trained)
        result = _kept(request, order, answer)
        if request.further is None:
            return result
        wanted = _conversion(request, request.further, result, calibration)
        made = converting.convert(wanted, on_progress, factory)
        return replace(result, converted=_said_of(request.images, calibration, made))


def _said_of(images: Path, calibration: Path, made: converting.Result) -> converting.Result:
    """What was remarked about a folder that nobody else knows, said of the pictures in it."""
    remarks = tuple(each.replace(str(calibration), str(images)) for each in made.converted.remarks)
    return replace(made, converted=structs.replace(made.converted, remarks=remarks))


def _check(request: Request) -> None:
    if request.out.suffix != ".keras":
        raise Refused(f"{request.out}: a trained model is written as .keras, name it so")
    if request.further is not None:
        converting.check_place(request.further.out)
    if request.out.absolute().is_relative_to(request.images.absolute()):
        raise Refused(f"{request.out} would lie among the pictures of {request.images}: write it elsewhere")
    _check_base(request.base)
    if not request.images.is_dir():
        raise Refused(f"{request.images}: there is no such folder of pictures")


def _check_base(base: str) -> None:
    if base in list(Network):
        return
    place = Path(base)
    if place.suffix not in _BASES:
        raise Refused(
            f"{base} is no base: there are {', '.join(Network)}, and files that end in "
            f"{', '.join(sorted(_BASES))}"
        )
    if not place.is_file():
        raise Refused(f"{base}: there is no such file")


def _order(request: Request, scratch: Path, calibration: Path) -> Train:
    shipped = request.base == Network.EFFICIENTNET_LITE0
    named = request.base in list(Network)
    return Train(
        base=request.base if named else str(Path(request.base).absolute()),
        weights=str(models_folder() / _SHIPPED) if shipped else "",
        images=str(request.images.absolute()),
        out=str(scratch / "model.keras"),
        confusion=str(scratch / "confusion.png"),
        calibration=str(calibration),
        side_px=request.side_px,
        look=Look(fit=request.fit, normalization=request.normalization),
        seed=request.seed,
        epochs=request.epochs,
        dropout=request.dropout,
        views=request.views,
        mirror=request.mirror,
        fine_tune_layers=request.fine_tune_layers,
        fine_tune_epochs=request.fine_tune_epochs,
    )


def _conversion(request: Request, further: Further, result: Result, calibration: Path) -> converting.Request:
    return converting.Request(
        source=Source(kind=SourceKind.KERAS, place=str(result.model.absolute())),
        out=further.out,
        quantize=further.quantize,
        representative=(Representative(place=str(calibration)),),
        look=Look(fit=request.fit, normalization=result.trained.normalization),
        labels=result.labels,
        card=further.card,
    )


def _kept(request: Request, order: Train, trained: Trained) -> Result:
    result = Result(
        trained,
        model=request.out,
        labels=request.out.with_suffix(".txt"),
        confusion=request.out.with_name(f"{request.out.stem}_confusion.png"),
        converted=None,
    )
    write_whole(result.labels, ("\n".join(trained.labels) + "\n").encode(), FOR_ALL)
    write_whole(result.confusion, _made(order.confusion), FOR_ALL)
    write_whole(result.model, _made(order.out), FOR_ALL)
    return result


def _made(place: str) -> bytes:
    try:
        return Path(place).read_bytes()
    except OSError as error:
        raise StoreFailed(f"{place} cannot be read: {error.strerror}") from error
