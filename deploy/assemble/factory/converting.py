"""From a trained model on disk to a .tflite file that is known to answer as it does."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.core.inference import labels as label_files
from agent.core.inference.describing import describe
from agent.core.tflite import flatmodel
from agent.core.tflite.flatmeta import Card
from agent.core.tflite.flatmodel import ModelFacts
from agent.wire.errors import Malformed
from agent.wire.topics import sha256
from deploy.adapters import desk, whole_file
from deploy.adapters.factory_process import FactoryProcess
from deploy.core.factory.conversion import kinds, metadata
from deploy.core.factory.conversion.metadata import Provenance
from deploy.core.factory.conversion.words import Convert, Converted, Quantize
from deploy.core.factory.words import Look, Representative, Source, SourceKind
from deploy.core.refusal import Refused
from deploy.ports.factory import Factory, OnProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """As the operator gives it; paths may not exist."""

    source: Source
    out: Path
    quantize: Quantize
    representative: tuple[Representative, ...] = ()
    look: Look = field(default_factory=Look)
    labels: Path | None = None
    card: Card = field(default_factory=Card)
    signatures: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    float_fallback: bool = False
    edgetpu: bool = False
    select_tf: tuple[str, ...] = ()
    custom: tuple[str, ...] = ()
    accept_difference: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    path: Path
    digest: str
    """Of the file that was written."""
    facts: ModelFacts
    """What it says about itself."""
    converted: Converted


def convert(request: Request, on_progress: OnProgress, factory: Factory | None = None) -> Result:
    """Nothing stands at `request.out` but what was there before, or the whole new file.

    Raises:
        Refused: it cannot be done as asked, or the result is not the float model.
        FactoryDied: the converter took its process with it.
        StoreFailed: the disk refused the file.
    """
    check_place(request.out)
    _check_apart(request)
    names = _labels(request.labels)
    with tempfile.TemporaryDirectory(prefix="shoal-convert-") as scratch:
        made = Path(scratch) / "made.tflite"
        converted = _converted((factory or FactoryProcess()).carry_out(order(request, made), on_progress))
        content = _described(request, converted, made.read_bytes(), names)
    facts = _examined(content)
    whole_file.write_whole(request.out, content, whole_file.FOR_ALL)
    return Result(request.out, sha256(content), facts, converted)


def order(request: Request, out: Path) -> Convert:
    return Convert(
        source=request.source,
        quantize=request.quantize,
        out=str(out),
        representative=request.representative,
        look=request.look,
        signatures=request.signatures,
        shapes=dict(request.shapes),
        float_fallback=request.float_fallback,
        edgetpu=request.edgetpu,
        select_tf=request.select_tf,
        custom=request.custom,
        accept_difference=request.accept_difference,
    )


def source(given: str) -> Source:
    """A trained model as it was typed: a path, or `module:function`.

    Raises:
        Refused: it is not there, or no model that the factory knows.
    """
    path = Path(given)
    if not path.exists() and kinds.is_function(given):
        return Source(kind=SourceKind.FUNCTION, place=given)
    kind = kinds.kind(given, _inside(path))
    return Source(kind=kind, place=str(path.absolute()))


def _inside(path: Path) -> tuple[str, ...] | None:
    """The names in a folder; None for a file."""
    try:
        if path.is_dir():
            return tuple(sorted(each.name for each in path.iterdir()))
        with path.open("rb"):
            return None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from error


def representative(given: str) -> Representative:
    """Data as it was typed: a place, or `SIGNATURE=PLACE`."""
    signature, place = kinds.representative(given, exists=Path(given).exists())
    return Representative(place=place_of(place), signature=signature)


def place_of(given: str) -> str:
    """Data as the factory's process finds it, wherever that runs: an absolute path, or `module:function`."""
    path = Path(given)
    return given if kinds.is_function(given) and not path.exists() else str(path.absolute())


def check_place(out: Path) -> None:
    """Before minutes of work: whether the file can be written there.

    Raises:
        Refused: it cannot.
    """
    folder = out.absolute().parent
    if out.is_dir():
        raise Refused(f"{out} is a folder: name a file, such as {out / 'model.tflite'}")
    if not folder.is_dir():
        raise Refused(f"{out}: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refused(f"{out}: the folder {folder} is not writable")


def _check_apart(request: Request) -> None:
    """
    Raises:
        Refused: the file would take the place of what it is made from.
    """
    places = [request.source.place, *(each.place for each in request.representative)]
    given = [Path(place) for place in places if not kinds.is_function(place)]
    for path in [*given, *([request.labels] if request.labels else [])]:
        if path.exists() and request.out.exists() and path.samefile(request.out):
            raise Refused(f"{request.out} is what it is made from: name another file with -o")


def _labels(path: Path | None) -> tuple[str, ...] | None:
    if path is None:
        return None
    try:
        return label_files.parse(desk.read(path))
    except Malformed as error:
        raise Refused(f"{path}: {error}") from error


def _converted(answer: object) -> Converted:
    assert isinstance(answer, Converted), answer
    return answer


def _described(request: Request, converted: Converted, content: bytes, names: Sequence[str] | None) -> bytes:
    try:
        carded = describe(content, metadata.card(request.card, request.look, converted), names)
        return metadata.with_provenance(
            carded,
            Provenance(
                source_digest=converted.source_digest,
                converter=converted.converter,
                flags=metadata.flags(order(request, request.out)),
                calibration=converted.calibration,
            ),
        )
    except Malformed as error:
        raise Refused(f"{request.labels or request.out}: {error}") from error


def _examined(content: bytes) -> ModelFacts:
    try:
        return flatmodel.examine(content)
    except Malformed as error:
        raise Refused(f"the converted model is no whole .tflite file: {error}") from error
