"""The Edge TPUs of the host, and which pipeline opens which."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from agent.assemble.edgetpu import accelerator
from agent.config import DelegateChoice, PipelineSettings
from agent.core.edgetpu.words import Ready, matching
from agent.core.serving import delegate
from agent.ports.accelerator import Sight
from agent.wire.ipc import EdgeTpu

CPU_CLASS = "cpu"
EDGETPU_CLASS = "edgetpu"


@dataclass(frozen=True, slots=True)
class Hardware:
    """What was seen at the start."""

    sight: Sight
    edgetpus: dict[str, EdgeTpu]
    """How each pipeline opens its own."""
    asked: EdgeTpu | None
    """How the first pipeline that uses one opens it, and so whom to ask for news; None where none does."""

    @property
    def device_class(self) -> str:
        return EDGETPU_CLASS if self.sight.tpus else CPU_CLASS


def look(lines: Sequence[PipelineSettings]) -> Hardware:
    """Before anything else runs: a rollout needs to know the hardware class."""
    wanting = [line for line in lines if line.runtime.delegate is not DelegateChoice.CPU]
    if not wanting:
        return Hardware(Sight((), Ready(())), {line.name: _edgetpu(line) for line in lines}, asked=None)
    asked = _edgetpu(wanting[0])
    sight = asyncio.run(accelerator().look(asked))
    devices = delegate.allot([line.runtime.edgetpu_device for line in wanting], sight.names)
    allotted = dict(zip((line.name for line in wanting), devices, strict=True))
    edgetpus = {line.name: _edgetpu(line, allotted.get(line.name)) for line in lines}
    return Hardware(sight, edgetpus, asked)


def has_edgetpu(sight: Sight, edgetpu: EdgeTpu) -> bool:
    return bool(matching(edgetpu.device, sight.tpus))


def lacking(line: PipelineSettings, *, present: bool) -> str:
    """In words, what the configuration asks for and the host has not."""
    if present or line.runtime.delegate is not DelegateChoice.EDGETPU:
        return ""
    return "runtime.delegate asks for an Edge TPU and none is there; the CPU serves"


def _edgetpu(line: PipelineSettings, device: str | None = None) -> EdgeTpu:
    runtime = line.runtime
    return EdgeTpu(
        library=runtime.edgetpu_library,
        device=runtime.edgetpu_device if device is None else device,
        performance=runtime.edgetpu_performance,
    )
