"""From .tflite files to the ones that an Edge TPU runs."""

import glob
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from agent.core.tflite import flatmodel
from agent.core.tflite.flatmodel import ModelFacts
from agent.wire.errors import Malformed, StoreFailed
from deploy.adapters import desk
from deploy.adapters.whole_file import FOR_ALL, make_folder, write_whole
from deploy.core.factory.edgetpu import compiler_report, rules
from deploy.core.factory.edgetpu.compiler_report import OperatorStatus, Part, Report
from deploy.core.factory.tflite import dataflow
from deploy.core.refusal import Refused
from deploy.core.release import variants
from deploy.core.release.variants import ModelFile, Options
from deploy.ports.compiler import Compiler, Job, Ran

_SUFFIX: Final = "_edgetpu"


@dataclass(frozen=True, slots=True)
class Request:
    models: tuple[Path, ...]
    out: Path | None
    """None: each beside its model."""
    runtime: int | None = None
    segments: int | None = None
    search: bool = False
    subgraphs: bool = False
    timeout_s: int | None = None
    together: bool = False
    """In one run, so that they share the memory on the chip."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """One file that was written."""

    model: Path
    path: Path
    compiler: str
    took_ms: int
    length_bytes: int
    part: Part
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    path: Path
    file: ModelFile
    facts: ModelFacts
    doubt: str | None
    """What the compiler may fail on without saying so."""


def compile_models(compiler: Compiler, request: Request) -> Iterator[Compiled]:
    """Each as soon as it is done; nothing is left of one that fails.

    Raises:
        Refused: a file is no model that the compiler takes, or it did not compile it.
        CompilerMissing: it is not installed here.
        StoreFailed: the disk refused.
    """
    sources = [_source(path, request) for path in request.models]
    _check_names(request)
    for group in [sources] if request.together else [[source] for source in sources]:
        yield from _run(compiler, request, group)


def _check_names(request: Request) -> None:
    """In one run, or where a folder is given, all are written into one; else each beside its model."""
    made = [
        (None if request.together or request.out else path.resolve().parent, path.stem)
        for path in request.models
    ]
    twice = next(
        (path for path, where in zip(request.models, made, strict=True) if made.count(where) > 1), None
    )
    if twice is not None:
        raise Refused(
            f"two of the models are called {twice.stem}, and so would be what is compiled from them: rename "
            "one, or compile them apart"
        )


def _source(path: Path, request: Request) -> _Source:
    content = desk.read(path)
    try:
        facts, flow = flatmodel.examine(content), dataflow.read(content)
    except Malformed as error:
        raise Refused(f"{path}: {error}") from error
    fault = rules.refusal(facts, flow)
    if fault is not None:
        raise Refused(f"{path} {fault}")
    expected = rules.place(flow, request.runtime or rules.RUNTIME_LATEST)
    if expected.cut is not None and expected.mapped == 0 and not (request.search or request.subgraphs):
        cut = expected.cut
        raise Refused(
            f"{path}: nothing of it would run on the Edge TPU, since {cut.operator} ({cut.layer}) comes "
            f"first: {cut.reason}"
        )
    return _Source(path, ModelFile(path.name, content), facts, rules.doubt(flow))


def _run(compiler: Compiler, request: Request, sources: Sequence[_Source]) -> Iterator[Compiled]:
    job = Job(
        models=[source.path for source in sources],
        runtime=request.runtime,
        segments=request.segments,
        search=request.search,
        subgraphs=request.subgraphs,
        timeout_s=request.timeout_s,
    )
    with _scratch() as folder:
        scratch = Path(folder)
        ran = compiler.run(job, scratch)
        report = compiler_report.read(ran.printed)
        made = {source.path: _outputs(scratch, source) for source in sources}
        if ran.status != 0 or not all(made.values()):
            names = " and ".join(str(source.path) for source in sources)
            doubts = [f"; {source.doubt}" for source in sources if source.doubt]
            raise Refused(f"{names}: {_failure(ran)}{''.join(doubts)}")
        done = [_checked(request, report, source, path) for source in sources for path in made[source.path]]
        for each in done:
            yield _kept(request, report, each)


def _failure(ran: Ran) -> str:
    if ran.waited_s is None:
        return compiler_report.failure(ran.printed, ran.status)
    return (
        f"the compiler did not end within {ran.waited_s} s, past its own limit, and was killed: give it more "
        "with --timeout-s, or a smaller model"
    )


def _scratch() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="shoal-compile-")
    except OSError as error:
        raise StoreFailed(f"no scratch folder for the compiler: {error.strerror}") from error


def _outputs(scratch: Path, source: _Source) -> list[Path]:
    """The whole, or its segments (`x_segment_0_of_2_edgetpu.tflite`)."""
    whole = scratch / f"{source.path.stem}{_SUFFIX}.tflite"
    segments = scratch.glob(f"{glob.escape(source.path.stem)}_segment_*_of_*{_SUFFIX}.tflite")
    return [whole] if whole.exists() else sorted(segments)


@dataclass(frozen=True, slots=True)
class _Checked:
    source: _Source
    name: str
    content: bytes
    log: bytes
    part: Part
    remarks: tuple[str, ...]


def _checked(request: Request, report: Report, source: _Source, made: Path) -> _Checked:
    log = made.with_suffix(".log")
    content, told = desk.read(made), desk.read(log) if log.exists() else b""
    part = _part(report, made.name, told)
    remarks = _verified(request, source, ModelFile(made.name, content), part)
    return _Checked(source, made.name, content, told, part, remarks)


def _part(report: Report, name: str, log: bytes) -> Part:
    part = next((part for part in report.parts if Path(part.output).name == name), None)
    if part is None:
        raise Refused(
            f"{name}: compiler {report.compiler} wrote it, but its report cannot be read: versions 2 to "
            "16 are known"
        )
    table = log.decode(errors="replace").splitlines()
    operators = part.operators or compiler_report.operators(table)
    return replace(part, output=name, operators=operators)


def _kept(request: Request, report: Report, done: _Checked) -> Compiled:
    folder = request.out or done.source.path.parent
    make_folder(folder, 0o755)
    path = folder / done.name
    if done.log:
        write_whole(path.with_suffix(".log"), done.log, FOR_ALL)
    write_whole(path, done.content, FOR_ALL)
    length = len(done.content)
    return Compiled(done.source.path, path, report.compiler, report.took_ms, length, done.part, done.remarks)


def _verified(request: Request, source: _Source, made: ModelFile, part: Part) -> tuple[str, ...]:
    """What the operator should know.

    Raises:
        Refused: it is not what the compiler says, or no twin of the model that it was made from.
    """
    try:
        facts = flatmodel.examine(made.content)
    except Malformed as error:
        raise Refused(f"{made.name}, as the compiler wrote it, is no model: {error}") from error
    if not facts.edgetpu:
        raise Refused(
            f"{source.path}: the compiler mapped no operator to the Edge TPU: {_why(part.operators)}"
        )
    if request.segments is not None and request.segments > 1:
        return ("a segment needs its neighbours on further Edge TPUs: shoal release takes whole models",)
    if _ports(facts) != _ports(source.facts):
        raise Refused(f"{made.name} does not take and give what {source.path.name} does: do not release it")
    return (*_unpaired(source.file, made), *_slow(part))


def _ports(facts: ModelFacts) -> list[tuple[tuple[int, ...], str]]:
    return [(tensor.shape, tensor.dtype) for tensor in (*facts.inputs, *facts.outputs)]


def _unpaired(cpu: ModelFile, compiled: ModelFile) -> tuple[str, ...]:
    """Why the two cannot be one release, if they cannot: a model need not be an image classifier."""
    try:
        variants.pair([variants.examine(file, Options()) for file in (cpu, compiled)])
    except Refused as refusal:
        return (f"shoal release does not take the pair: {refusal}",)
    return ()


def _slow(part: Part) -> Iterator[str]:
    if part.streamed_bytes:
        yield (
            f"{part.streamed_bytes:,} bytes of its parameters do not fit onto the chip and are sent to it at "
            "each inference: a smaller model is faster"
        )
    on_cpu = part.total - part.mapped
    if part.operators and on_cpu > 0:
        yield f"{on_cpu} of {part.total} operators stay on the CPU: {_why(part.operators)}"


def _why(operators: Sequence[OperatorStatus]) -> str:
    left = [each for each in operators if not each.mapped]
    return "; ".join(
        f"{each.count} {each.operator} ({compiler_report.reason(each.status)})" for each in left[:5]
    ) + ("; ..." if len(left) > 5 else "")
