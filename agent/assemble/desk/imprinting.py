"""A taught model from pictures: what `shoal-agent teach` does in the child process that runs the network."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Final

import msgspec
import numpy as np
from msgspec.structs import replace

from agent.adapters import whole_file
from agent.adapters.runtime_tflite import open_runtime
from agent.assemble.desk import pictures
from agent.assemble.desk.teaching import Looked, Mistaken, Passed, Taught, TaughtLabel, Teach
from agent.core.inference import contract
from agent.core.inference.describing import describe
from agent.core.inference.tensors import Preparer
from agent.core.teaching import cutting, head, imprint, record
from agent.core.teaching.cutting import Embedding
from agent.core.teaching.imprint import Confusion, HeldOut, Prototype, Seen, Vectors
from agent.core.teaching.record import ENTRY, Record
from agent.core.tflite import flatgraph, flatmodel
from agent.core.tflite.flatgraph import Graph
from agent.core.tflite.flatmeta import Card
from agent.wire.errors import Malformed, PortError
from agent.wire.topics import sha256

PICTURES_MIN: Final = 2
PICTURES_ADVISED: Final = 10
_SAME: Final = 0.9999
"""Cosine of two labels that were taught with the same pictures."""
_ALIKE: Final = 0.95


def teach(job: Teach, content: bytes) -> Iterator[Looked | Passed | Taught]:
    """
    Raises:
        WireError: the model or the pictures cannot be used.
        PortError: the runtime refuses the model, or the disk the file.
    """
    began_ns = perf_counter_ns()
    _check_out(Path(job.out))
    try:
        base = _base(job, content)
    except Malformed as error:
        raise Malformed(f"{job.model}: {error}") from error
    if not job.images:
        return
    shown = []
    for each in _embedded(job, base):
        if isinstance(each, Looked | Passed):
            yield each
        else:
            shown.append(each)
    lesson = _learned(job, content, base, shown)
    file_bytes = _saved(job.out, _written(job, base, lesson))
    took_s = round((perf_counter_ns() - began_ns) / 1e9, 2)
    yield _told(job, base, lesson, file_bytes=file_bytes, took_s=took_s)


def _check_out(out: Path) -> None:
    if not out.absolute().parent.is_dir():
        raise Malformed(f"{out} cannot be written: there is no such folder")
    if out.is_dir():
        raise Malformed(f"{out} cannot be written: it is a folder, name a file")


@dataclass(frozen=True, slots=True)
class _Shown:
    """A label's pictures, each once: a copy that is held out would be known by its twin."""

    seen: Seen
    copies: int


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What was learned from the pictures."""

    shown: tuple[_Shown, ...]
    whole: tuple[Prototype, ...]
    held: HeldOut
    closest: tuple[str, str, float]
    record: Record


def _learned(job: Teach, content: bytes, base: "_Base", shown: Sequence[_Shown]) -> _Lesson:
    seen = [each.seen for each in shown]
    whole = imprint.merged(base.known, [imprint.imprint(each) for each in seen])
    if len(whole) < 2:
        raise Malformed(f"{whole[0].label!r} is the only label; at least 2 are needed to tell things apart")
    first, second, similarity = imprint.closest(whole)
    if similarity > _SAME:
        raise Malformed(f"{first!r} and {second!r} hold the same pictures: give each label its own")
    held = imprint.hold_out(seen, base.known)
    kept = _record(job, content, base, held, whole)
    if kept.unknown in {each.label for each in whole}:
        raise Malformed(f"{kept.unknown!r} is a label with pictures of its own: name the unknown otherwise")
    return _Lesson(tuple(shown), whole, held, (first, second, similarity), kept)


def _told(job: Teach, base: "_Base", lesson: _Lesson, *, file_bytes: int, took_s: float) -> Taught:
    held = lesson.held
    return Taught(
        labels=tuple(TaughtLabel(name=each.label, pictures=each.pictures) for each in lesson.whole),
        layer=lesson.record.layer,
        dimensions=base.embedding.dimensions,
        right=held.right,
        held_out=len(held.truth),
        between=imprint.interval(held.right, len(held.truth)),
        mistaken=tuple(map(_mistaken, imprint.confusions(held, lesson.whole))),
        unknown_share=_unknown_share(held, lesson.record),
        remarks=tuple(_remarks(lesson)),
        file=job.out,
        file_bytes=file_bytes,
        took_s=took_s,
    )


def _mistaken(found: Confusion) -> Mistaken:
    return Mistaken(
        first=found.first,
        second=found.second,
        mistaken=found.mistaken,
        pictures=found.pictures,
        similarity=round(found.similarity, 3),
    )


@dataclass(frozen=True, slots=True)
class _Base:
    """The network up to its embedding, and what it was taught before."""

    graph: Graph
    embedding: Embedding
    described: bytes
    """A model of its own that gives unit embeddings."""
    card: Card
    """What the original says of itself that holds for the taught model too."""
    known: tuple[Prototype, ...]
    record: Record | None


def _base(job: Teach, content: bytes) -> _Base:
    facts = flatmodel.examine(content)
    if facts.edgetpu:
        raise Malformed(
            "compiled for an Edge TPU, which seals all operators in one:"
            " teach the variant that is not compiled"
        )
    if len(facts.inputs) != 1 or len(facts.outputs) != 1:
        raise Malformed(f"{len(facts.inputs)} inputs and {len(facts.outputs)} outputs, one of each is needed")
    graph = flatgraph.opened(content)
    before = record.read(graph.entries)
    _check_before(job, before)
    embedding = cutting.find(graph, job.layer)
    known = () if before is None or not job.add else record.prototypes(before, head.classes(graph))
    unit = head.with_unit(cutting.cut(graph, embedding))
    said = facts.card or Card()
    card = Card(author=said.author, licence=said.licence, normalization=said.normalization)
    described = describe(flatgraph.written(unit), card, None)
    return _Base(unit, embedding, described, card, known, before)


def _check_before(job: Teach, before: Record | None) -> None:
    if job.add and before is None:
        raise Malformed(
            "it was not taught with `shoal-agent teach`, so there is nothing to add to: leave out --add"
        )
    if job.add and job.layer is not None:
        raise Malformed("--add keeps the embedding of the model: leave out --layer")


def _embedded(job: Teach, base: _Base) -> Iterator[Looked | Passed | _Shown]:
    """The embeddings of each label's pictures, and what is to be told meanwhile."""
    model = open_runtime(job.runtime).load(base.described, threads=job.threads)
    wanted, _ = contract.infer(flatmodel.examine(base.described), job.fit)
    preparer = Preparer(wanted, model.input)
    folders = _folders(job.images)
    done, total = 0, sum(len(files) for _, files in folders)
    for label, files in folders:
        rows: dict[str, Vectors] = {}
        copies = 0
        for file in files:
            pixels = pictures.read(str(file))
            if isinstance(pixels, str):
                yield Passed(image=str(file), detail=pixels)
            elif (digest := sha256(pixels.tobytes())) in rows:
                copies += 1
            else:
                rows[digest] = model.invoke(preparer.prepare(pixels)).reshape(-1).astype(np.float64)
            done += 1
            yield Looked(pictures=done, total=total)
        if len(rows) < PICTURES_MIN:
            raise Malformed(
                f"{label!r} needs at least {PICTURES_MIN} different pictures and has {len(rows)};"
                f" {PICTURES_ADVISED} to 50 are advised"
            )
        yield _Shown(Seen(label, np.stack(list(rows.values()))), copies)


def _folders(images: str) -> list[tuple[str, list[Path]]]:
    """Each label with its files, sorted by name: neighbours are often of one moment."""
    try:
        folders = sorted(each for each in Path(images).iterdir() if each.is_dir() and each.name[0] != ".")
        found = [
            (folder.name, sorted(file for file in folder.iterdir() if file.is_file() and file.name[0] != "."))
            for folder in folders
        ]
    except OSError as error:
        raise Malformed(f"{images}: {error.strerror}") from error
    if not found:
        raise Malformed(f"{images} has no folders: put the pictures of each label into a folder of its name")
    return found


def _record(job: Teach, content: bytes, base: _Base, held: HeldOut, whole: Sequence[Prototype]) -> Record:
    before = base.record if job.add else None
    familiar = imprint.familiar(held)
    if before is not None:
        # The pictures of earlier labels are gone: what was fitted to them holds, as far as it reaches.
        return replace(
            before,
            labels=record.labels(whole),
            familiar=min(before.familiar, familiar),
            unknown=job.unknown or before.unknown,
        )
    return record.Record(
        base=sha256(content),
        layer=base.embedding.name,
        scale=imprint.fitted_scale(held),
        familiar=familiar,
        labels=record.labels(whole),
        unknown=job.unknown,
    )


def _written(job: Teach, base: _Base, lesson: _Lesson) -> bytes:
    kept, names = lesson.record, [each.label for each in lesson.whole]
    rows = [kept.scale * each.unit for each in lesson.whole]
    bias = [0.0] * len(rows)
    if kept.unknown is not None:
        # As alike to everything as a picture must be to one of the labels.
        names.append(kept.unknown)
        rows.append(np.zeros_like(rows[0]))
        bias.append(kept.scale * kept.familiar)
    needs = base.graph.entries.get(flatmodel.RUNTIME_VERSION)
    graph = head.with_classes(
        base.graph,
        np.stack(rows).astype(np.float32),
        np.array(bias, np.float32),
        {ENTRY: msgspec.json.encode(kept), **({flatmodel.RUNTIME_VERSION: needs} if needs else {})},
    )
    name = job.name or Path(job.out).stem
    card = dataclasses.replace(base.card, name=name, description="Taught by weight imprinting.")
    return describe(flatgraph.written(graph), card, names)


def _unknown_share(held: HeldOut, kept: Record) -> float | None:
    if kept.unknown is None:
        return None
    return float((held.cosines.max(axis=1) < kept.familiar).mean())


def _remarks(lesson: _Lesson) -> Iterator[str]:
    pictures_of = {each.label: each.pictures for each in lesson.whole}
    few = [each.seen.label for each in lesson.shown if pictures_of[each.seen.label] < PICTURES_ADVISED]
    copies = sum(each.copies for each in lesson.shown)
    if copies:
        yield f"left out, because they are copies of others: {copies} pictures"
    if few:
        yield (
            f"{', '.join(map(repr, few))}: fewer than {PICTURES_ADVISED} pictures; more of them, from several"
            " sides and in several lights, teach more than anything else"
        )
    first, second, similarity = lesson.closest
    if similarity > _ALIKE:
        yield (
            f"{first!r} and {second!r} look alike to this network (similarity {similarity:.3f}):"
            " take pictures that show the difference, or teach both as one label"
        )
    if lesson.record.unknown is None:
        yield "it names one of its labels whatever it sees; --unknown NAME adds a class for everything else"


def _saved(path: str, content: bytes) -> int:
    try:
        whole_file.replace(Path(path), content)
        Path(path).chmod(0o644)
    except OSError as error:
        raise PortError(f"{path} cannot be written: {error.strerror or error}") from error
    return len(content)
