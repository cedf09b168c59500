"""What the keeper knows of a worker process, and of a model on its way into it."""

import asyncio
import math
from dataclasses import dataclass

from agent.core.serving.failover import Cause
from agent.ports.pipe import Child
from agent.wire.ipc import FromWorker, ModelSpec, ServeFailed, Serving, ToWorker

WorkerChild = Child[ToWorker, FromWorker]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long without a sign of life until a worker counts as hung, in seconds."""

    frame_s: float = 10.0
    """Between two predictions, while a model is served and the camera is there."""
    start_s: float = 30.0
    """Until a fresh process has loaded the model that it is to serve."""
    load_s: float = 60.0
    """Until a model that was asked for serves beside the running one."""


@dataclass(frozen=True, slots=True)
class Death:
    """A worker has ended unasked."""

    how: str
    cause: Cause
    on_edgetpu: bool
    """It served or loaded a model there."""


@dataclass(slots=True)
class Order:
    """A model on its way into the worker."""

    model: ModelSpec
    answer: asyncio.Future[Serving | ServeFailed]
    sent_s: float = math.inf
    alone: bool = False
    """No other model is in the process that loads it."""


@dataclass(slots=True)
class Life:
    """What is known of the process that runs now."""

    child: WorkerChild
    began_s: float
    reserving: ModelSpec | None = None
    """The model that it has yet to take up again after a crash."""
    answered: bool = False
    camera_out: bool = False
    """No frame is to be expected: it is not open yet, lost, busy or frozen."""
    camera_stuck: bool = False
    """Its driver does not return, and takes this process with it."""
    watch: asyncio.Timeout | None = None
