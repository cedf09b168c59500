"""One model and some pictures, without a fleet: what `classify` and its like do in their child process.

The parent of that process imports only the messages; what needs arrays or a runtime is imported where it is
used.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from agent.assemble.desk import invoking, pictures, teaching
from agent.assemble.desk.invoking import Invoke, Invoked, Listed
from agent.assemble.desk.teaching import Capture, Captured, Looked, Passed, Taught, Teach
from agent.core.serving.delegate import RuntimeChoice
from agent.wire.documents import Fit, Normalization, OutputContract
from agent.wire.errors import AgentError, Malformed
from agent.wire.ipc import EdgeTpu
from agent.wire.reports import Ranked

if TYPE_CHECKING:
    from agent.core.camera.frames import Pixels
    from agent.core.inference.tensors import Preparer
    from agent.ports.runtime import Model


class Load(Struct, frozen=True, kw_only=True, tag="load"):
    """Only find out whether and how the model loads here."""

    model: str
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    threads: int = 1
    edgetpu: EdgeTpu | None = None


class Classify(Struct, frozen=True, kw_only=True, tag="classify"):
    model: str
    images: tuple[str, ...]
    labels: str | None = None
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    threads: int = 1
    edgetpu: EdgeTpu | None = None
    fit: Fit = Fit.CENTRE_CROP
    normalization: Normalization | None = None
    """None: what the model says."""
    top: int = 5


class Loaded(Struct, frozen=True, kw_only=True, tag="loaded"):
    runtime: str
    delegate: str
    delegate_reason: str


class Latency(Struct, frozen=True, kw_only=True):
    """Milliseconds."""

    pre: float
    invoke: float
    post: float


class Classified(Struct, frozen=True, kw_only=True, tag="classified"):
    image: str
    predictions: tuple[Ranked, ...]
    delegate: str
    delegate_reason: str
    runtime: str
    latency_ms: Latency


class Unreadable(Struct, frozen=True, kw_only=True, tag="unreadable"):
    """One picture was passed over."""

    image: str
    detail: str


class Refused(Struct, frozen=True, kw_only=True, tag="refused"):
    """Nothing can be done with this model."""

    detail: str


Job = Load | Classify | Invoke | Teach | Capture
Answer = Loaded | Classified | Unreadable | Listed | Invoked | Looked | Passed | Taught | Captured | Refused


def answers(job: Job) -> Iterator[Answer]:
    """Do the job; a refusal ends it."""
    try:
        match job:
            case Load():
                model = _load(_content(job.model), job)
                yield Loaded(
                    runtime=model.runtime, delegate=model.delegate, delegate_reason=model.delegate_reason
                )
            case Classify():
                yield from _classify(job)
            case Invoke():
                yield from invoking.invoke(job, _content(job.model))
            case Teach():
                from agent.assemble.desk import imprinting

                yield from imprinting.teach(job, _content(job.model))
            case Capture():
                yield from teaching.capture(job)
    except AgentError as error:
        yield Refused(detail=str(error))


@dataclass(frozen=True, slots=True)
class _Bench:
    """A loaded model with all that is needed to feed it."""

    model: "Model"
    preparer: "Preparer"
    output: OutputContract
    labels: tuple[str, ...]


def _classify(job: Classify) -> Iterator[Classified | Unreadable]:
    import numpy as np

    bench = _set_up(job)
    # The first invocation is the slowest, and the modules are loaded with it.
    _classified(bench, "", np.zeros((2, 2, 3), np.uint8), job.top)
    for image in job.images:
        pixels = pictures.read(image)
        if isinstance(pixels, str):
            yield Unreadable(image=image, detail=pixels)
        else:
            yield _classified(bench, image, pixels, job.top)


def _set_up(job: Classify) -> _Bench:
    from agent.core.inference import contract
    from agent.core.inference.tensors import Preparer
    from agent.core.tflite import flatmodel

    content = _content(job.model)
    facts = flatmodel.examine(content)
    model = _load(content, job)
    wanted, scores = contract.infer(facts, job.fit)
    wanted = replace(wanted, normalization=job.normalization or wanted.normalization)
    fault = contract.compare(wanted, scores, model.input, model.output)
    if fault is not None:
        raise Malformed(fault)
    return _Bench(model, Preparer(wanted, model.input), scores, _labels(job, content, scores.classes))


def _classified(bench: _Bench, image: str, pixels: "Pixels", top: int) -> Classified:
    from agent.core.inference.scores import rank

    model = bench.model
    began = perf_counter_ns()
    tensor = bench.preparer.prepare(pixels)
    prepared = perf_counter_ns()
    output = model.invoke(tensor)
    invoked = perf_counter_ns()
    predictions = rank(output, bench.output, model.output, bench.labels, top)
    done = perf_counter_ns()
    return Classified(
        image=image,
        predictions=predictions,
        delegate=model.delegate,
        delegate_reason=model.delegate_reason,
        runtime=model.runtime,
        latency_ms=Latency(
            pre=_ms(prepared - began), invoke=_ms(invoked - prepared), post=_ms(done - invoked)
        ),
    )


def _content(path: str) -> bytes:
    """
    Raises:
        Malformed: the file cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Malformed(f"{path}: {error.strerror}") from error


def _ms(ns: int) -> float:
    return round(ns / 1e6, 3)


def _load(content: bytes, job: Load | Classify) -> "Model":
    from agent.adapters.edgetpu.delegate import OpenEdgeTpu
    from agent.adapters.edgetpu.host import explain
    from agent.adapters.runtime_tflite import open_runtime

    runtime = open_runtime(job.runtime, OpenEdgeTpu(explain))
    return runtime.load(content, threads=job.threads, edgetpu=job.edgetpu)


def _labels(job: Classify, content: bytes, classes: int) -> tuple[str, ...]:
    """The labels that were given, else those inside the model; none where there are none."""
    from agent.core.inference import labels
    from agent.core.tflite import flatmodel

    if job.labels is not None:
        found = labels.parse(_content(job.labels))
    else:
        found = labels.embedded(content, flatmodel.examine(content)) or ()
    fault = labels.mismatch(found, classes) if found else None
    if fault is not None:
        raise Malformed(f"{job.labels or 'the labels inside the model'}: {fault}")
    return found
