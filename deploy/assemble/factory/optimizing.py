"""From a trained Keras classifier and data to one that packs or quantizes better, and what that cost."""

import gzip
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.adapters import desk, whole_file
from deploy.adapters.factory_process import FactoryProcess
from deploy.adapters.packer_zstd import ZstandardPacker
from deploy.assemble.factory import converting
from deploy.core.factory.conversion import kinds
from deploy.core.factory.conversion.words import Quantize
from deploy.core.factory.training import optimizing
from deploy.core.factory.training.optimizing import Settings
from deploy.core.factory.training.words import Optimize, Optimized, Technique
from deploy.core.factory.words import Look, Representative, Source, SourceKind
from deploy.core.refusal import Refused
from deploy.core.release import chunking
from deploy.ports.factory import OnProgress

_ENVIRONMENT: Final = {"TF_USE_LEGACY_KERAS": "1"}
"""Says to TensorFlow, before it is imported, that `tf.keras` is the older Keras, which the toolkit needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """As the operator gives it; paths may not exist."""

    model: Path
    data: str
    out: Path
    techniques: Sequence[Technique]
    settings: Settings
    look: Look
    convert: Path | None = None
    quantize: Quantize | None = None
    """None: as the techniques suggest."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of a .tflite file, in bytes."""

    file: int
    gzip: int
    pulled: int
    """By a device: its chunks, each packed where that pays."""


@dataclass(frozen=True, slots=True)
class Result:
    optimized: Optimized
    before: Size
    after: Size
    """Both in float, but for the result of quantization-aware training."""
    converted: Size | None
    remarks: tuple[str, ...]


def optimize(request: Request, on_progress: OnProgress) -> Result:
    """Neither file is written before all of it has been done.

    Raises:
        Refused: it cannot be done as asked.
        FactoryDied: the process ended without an answer.
        StoreFailed: the disk refused a file.
    """
    convert = None if request.convert is None else request.convert.name
    mode = optimizing.check(request.techniques, request.out.name, convert, request.quantize)
    for place in (request.out, *([request.convert] if request.convert else [])):
        converting.check_place(place)
    with tempfile.TemporaryDirectory(prefix="shoal-optimize-") as folder:
        scratch = Path(folder)
        made = scratch / f"made{request.out.suffix}"
        answer = FactoryProcess(_ENVIRONMENT).carry_out(_order(request, scratch, made), on_progress)
        assert isinstance(answer, Optimized), answer
        converted = _converted(request, mode, made, scratch / "samples.npz", on_progress)
        whole_file.write_whole(request.out, made.read_bytes(), whole_file.FOR_ALL)
        return Result(
            answer,
            _size((scratch / "before.tflite").read_bytes()),
            _size((scratch / "after.tflite").read_bytes()),
            None if request.convert is None else _size(desk.read(request.convert)),
            (*answer.remarks, *converted),
        )


def _order(request: Request, scratch: Path, made: Path) -> Optimize:
    source, settings = converting.source(str(request.model)), request.settings
    if source.kind is not SourceKind.KERAS:
        raise Refused(
            f"{request.model} is {source.kind}: give a Keras model, .keras or .h5, that can train on"
        )
    if not (Path(request.data).exists() or kinds.is_function(request.data)):
        raise Refused(f"{request.data}: there is no such file or folder of data")
    return Optimize(
        source=source,
        data=converting.place_of(request.data),
        techniques=tuple(request.techniques),
        out=str(made),
        before=str(scratch / "before.tflite"),
        after=str(scratch / "after.tflite"),
        samples=str(scratch / "samples.npz"),
        look=request.look,
        epochs=settings.epochs,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        sparsity=settings.sparsity,
        clusters=settings.clusters,
        held_out=settings.held_out,
        seed=settings.seed,
    )


def _converted(
    request: Request, mode: Quantize, made: Path, samples: Path, on_progress: OnProgress
) -> tuple[str, ...]:
    """What the conversion had to remark."""
    if request.convert is None:
        return ()
    result = converting.convert(
        converting.Request(
            source=Source(kind=SourceKind.KERAS, place=str(made)),
            out=request.convert,
            quantize=mode,
            representative=(Representative(place=str(samples)),),
            look=request.look,
        ),
        on_progress,
    )
    return tuple(remark.replace(str(samples), request.data) for remark in result.converted.remarks)


def _size(content: bytes) -> Size:
    pieces = chunking.pack(content, ZstandardPacker().pack).pieces()
    return Size(len(content), len(gzip.compress(content, mtime=0)), sum(len(piece) for _, piece in pieces))
