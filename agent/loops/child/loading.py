"""From what the supervisor asks for to a model that can be fed: the same steps in worker and canary.

The file is checked against its signed digest before native code sees it: runtimes crash on what is
corrupt, or run it and answer nonsense.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.core.inference import contract, labels
from agent.core.inference.tensors import Preparer
from agent.core.tflite import flatmodel
from agent.ports.clock import Clock
from agent.ports.runtime import Model, Runtime
from agent.wire.errors import DelegateUnavailable, Malformed, ModelUnloadable, RuntimeMissing
from agent.wire.ipc import ModelSpec
from agent.wire.reasons import Reason
from agent.wire.topics import Digest, sha256

OpenRuntime = Callable[[str], Runtime]
"""The runtime that a `ModelSpec.runtime` names. Raises RuntimeMissing."""


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that a runtime has loaded; whether it is the right one is another question."""

    model: Model
    labels: tuple[str, ...] | None
    load_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A model that is what its manifest says, with all that is needed to feed it and to name its classes."""

    spec: ModelSpec
    model: Model
    preparer: Preparer
    labels: tuple[str, ...]
    load_ms: float
    top: int
    first_ms: float = 0.0
    """What the invocation that warmed it up took."""


def open_model(spec: ModelSpec, open_runtime: OpenRuntime, clock: Clock) -> Opened | Refusal:
    """Read, check the digest, and load; then read the labels."""
    began_ns = clock.monotonic_ns()
    content = _read(spec.model_path, spec.digest)
    if isinstance(content, Refusal):
        return content
    try:
        model = open_runtime(spec.runtime).load(content, threads=spec.threads, edgetpu=spec.edgetpu)
    except DelegateUnavailable as error:
        return Refusal(Reason.NEEDS_EDGETPU, str(error))
    except (ModelUnloadable, RuntimeMissing) as error:
        return Refusal(Reason.LOAD_FAILED, str(error))
    load_ms = (clock.monotonic_ns() - began_ns) / 1e6
    found = _labels(spec, content)
    return found if isinstance(found, Refusal) else Opened(model, found, load_ms)


def load(spec: ModelSpec, open_runtime: OpenRuntime, clock: Clock, top: int) -> Loaded | Refusal:
    """As `open_model`, and refuse a model whose tensors are not those of its contract."""
    opened = open_model(spec, open_runtime, clock)
    if isinstance(opened, Refusal):
        return opened
    model = opened.model
    fault = contract.compare(spec.input, spec.output, model.input, model.output)
    if fault is not None:
        return Refusal(Reason.CONTRACT_MISMATCH, fault)
    return Loaded(
        spec=spec,
        model=model,
        preparer=Preparer(spec.input, model.input),
        labels=opened.labels or (),
        load_ms=opened.load_ms,
        top=top,
    )


def _read(path: str, digest: Digest) -> bytes | Refusal:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        return Refusal(Reason.LOAD_FAILED, f"{path}: {error.strerror}")
    found = sha256(content)
    if found != digest:
        return Refusal(
            Reason.DIGEST_MISMATCH, f"{path} has digest {found[:12]}…, {digest[:12]}… was asked for"
        )
    return content


def _labels(spec: ModelSpec, content: bytes) -> tuple[str, ...] | Refusal | None:
    try:
        if spec.labels_path is not None:
            return labels.parse(Path(spec.labels_path).read_bytes())
        return labels.embedded(content, flatmodel.examine(content))
    except OSError as error:
        return Refusal(Reason.LABELS_MISMATCH, f"{spec.labels_path}: {error.strerror}")
    except Malformed as error:
        return Refusal(Reason.LABELS_MISMATCH, str(error))
