"""What `shoal-agent check` does in child processes: models and imports that may crash their process."""

import importlib
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from agent.adapters.clock_system import SystemClock
from agent.adapters.machine import child as machine_child
from agent.assemble.children.cameras import CameraFinding, examine
from agent.config import Camera as CameraSection
from agent.core.findings.child import (
    UNSTARTED_REMEDY,
    Died,
    Failed,
    Late,
    Unanswered,
    Unstarted,
    in_words,
)
from agent.core.findings.devices import CameraFails, CameraWorks
from agent.core.findings.packages import Import, Imported
from agent.core.findings.runtime import Computed, Probe
from agent.core.serving.delegate import RuntimeChoice
from agent.core.tflite import probe_model
from agent.wire.errors import AgentError
from agent.wire.ipc import EdgeTpu

if TYPE_CHECKING:
    from agent.ports.runtime import Model, Tensor

IMPORT_MAX_S: Final = 20.0
RUN_MAX_S: Final = 60.0
"""A slow card, a cold cache, and a model of many megabytes."""
CAMERA_MAX_S: Final = 45.0
"""A network camera takes seconds to open, and a driver that hangs takes for ever."""
_CAMERA_REMEDY: Final = "see its cable and the kernel's log (dmesg), or choose another with camera.kind"
_MEASURED_S: Final = 1.0
_RUNS_MAX: Final = 50

_IMPORT_FAULTS: Final = (ImportError, ValueError, AttributeError, OSError, RuntimeError, SystemError)
"""Besides ImportError: what packages raise that find a numpy or a library other than they were built for."""


class RunModel(Struct, frozen=True, kw_only=True, tag="run-model"):
    """Load a model and run it for about a second. `path` empty: the one that is part of this program.

    `edgetpu` is what a model runs on that is compiled for one.
    """

    path: str = ""
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    edgetpu: EdgeTpu | None = None


class ImportModule(Struct, frozen=True, kw_only=True, tag="import"):
    name: str


class LookThrough(Struct, frozen=True, kw_only=True, tag="look-through"):
    camera: CameraSection


class Ran(Struct, frozen=True, kw_only=True, tag="ran"):
    runtime: str
    delegate: str
    delegate_reason: str
    median_ms: float
    runs: int


class Came(Struct, frozen=True, kw_only=True, tag="came"):
    """The module was imported."""


class Seen(Struct, frozen=True, kw_only=True, tag="seen"):
    finding: CameraFinding


class Raised(Struct, frozen=True, kw_only=True, tag="raised"):
    detail: str


Job = RunModel | ImportModule | LookThrough
Answer = Ran | Came | Seen | Raised

_job: Final[msgspec.json.Decoder[Job]] = msgspec.json.Decoder(Job)
_answer: Final[msgspec.json.Decoder[Answer]] = msgspec.json.Decoder(Answer)


def probe(path: str, runtime: RuntimeChoice, edgetpu: EdgeTpu | None = None) -> Probe:
    """Load and run a model in a child."""
    match _ask(RunModel(path=path, runtime=runtime, edgetpu=edgetpu), RUN_MAX_S):
        case Ran() as ran:
            return Computed(ran.runtime, ran.delegate, ran.delegate_reason, ran.median_ms, ran.runs)
        case Failed() | Died() | Late() | Unstarted() as unanswered:
            return unanswered
        case other:
            raise AssertionError(other)


def import_module(name: str) -> Import:
    """Import a module in a child."""
    answer = _ask(ImportModule(name=name), IMPORT_MAX_S)
    return answer if isinstance(answer, Failed | Died | Late | Unstarted) else Imported()


def look_through(camera: CameraSection) -> CameraWorks | CameraFails:
    """Open a camera and read some frames, in a child."""
    kind = camera.kind.value
    match _ask(LookThrough(camera=camera), CAMERA_MAX_S):
        case Seen(finding=found) if found.ok:
            return CameraWorks(found.kind, found.detail)
        case Seen(finding=found):
            return CameraFails(found.kind, found.detail, found.remedy)
        case Failed(detail):
            return CameraFails(kind, detail, _CAMERA_REMEDY)
        case Unstarted() as unstarted:
            return CameraFails(kind, in_words(unstarted), UNSTARTED_REMEDY)
        case Died() | Late() as unanswered:
            return CameraFails(kind, in_words(unanswered), _CAMERA_REMEDY, crashed=True)
        case other:
            raise AssertionError(other)


def _ask(job: Job, limit_s: float) -> Ran | Came | Seen | Unanswered:
    said = machine_child.ask(msgspec.json.encode(job), limit_s)
    if not isinstance(said, bytes):
        return said
    answer = _answer.decode(said)
    return Failed(answer.detail) if isinstance(answer, Raised) else answer


def perform(job: bytes) -> bytes:
    """The child's side."""
    return msgspec.json.encode(_perform(_job.decode(job)))


def _perform(job: Job) -> Answer:
    match job:
        case RunModel():
            try:
                return _run(job)
            except AgentError as error:
                return Raised(detail=str(error))
            except OSError as error:
                return Raised(detail=error.strerror or str(error))
        case ImportModule(name=name):
            try:
                importlib.import_module(name)
            except _IMPORT_FAULTS as error:
                return Raised(detail=f"{error}".partition("\n")[0])
            return Came()
        case LookThrough(camera=camera):
            try:
                return Seen(finding=examine(camera, SystemClock()))
            except AgentError as error:
                return Raised(detail=str(error))


def _run(job: RunModel) -> Ran:
    import numpy as np

    from agent.adapters.edgetpu.delegate import OpenEdgeTpu
    from agent.adapters.edgetpu.host import explain
    from agent.adapters.runtime_tflite import open_runtime

    content = Path(job.path).read_bytes() if job.path else probe_model.content()
    runtime = open_runtime(job.runtime, OpenEdgeTpu(explain))
    model = runtime.load(content, threads=1, edgetpu=job.edgetpu)
    tensor = np.zeros(model.input.shape, np.dtype(model.input.dtype.value))
    model.invoke(tensor)
    times_ms = _times(model, tensor)
    return Ran(
        runtime=model.runtime,
        delegate=model.delegate,
        delegate_reason=model.delegate_reason,
        median_ms=round(median(times_ms), 3),
        runs=len(times_ms),
    )


def _times(model: "Model", tensor: "Tensor") -> list[float]:
    times_ms: list[float] = []
    while len(times_ms) < _RUNS_MAX and sum(times_ms) < _MEASURED_S * 1000:
        began = perf_counter_ns()
        model.invoke(tensor)
        times_ms.append((perf_counter_ns() - began) / 1e6)
    return times_ms
