"""The supervisor's view of its two child processes: native code runs there and nowhere else."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from agent.core.serving.failover import Cause, Offer
from agent.wire.ipc import (
    CameraTurned,
    Findings,
    InvokeFailed,
    Pace,
    Predicted,
    Prove,
    ProveFailed,
    Sampled,
    ServeFailed,
    Serving,
    Shadow,
    Shadowed,
    Snap,
    SnapFailed,
    Snapped,
    Tune,
    Tuned,
)

Observation = Predicted | InvokeFailed | CameraTurned


@dataclass(frozen=True, slots=True)
class Died:
    """The process has ended unasked; `counts` against its model, or else that is yet to be found out."""

    how: str
    counts: bool


@dataclass(frozen=True, slots=True)
class Guilty:
    """The model has ended the process, or failed in it: its Edge TPU is there."""

    how: str


@dataclass(frozen=True, slots=True)
class StoodIn:
    """The preferred model does not serve for now; what comes from here on says nothing of it."""

    serving: Serving | None
    """What serves instead; None: that is known already, or yet to come."""
    degraded: str
    """Why, in words; empty where all is as it should be: the Edge TPU is lent, or is being opened."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The Edge TPU is gone."""

    why: str
    stands_in: bool
    """Something else serves of the same release."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The preferred model serves, or nothing does that could be stood in for."""

    serving: Serving | None
    """None: whoever asked for it knows."""
    lost_s: float | None
    """How long its Edge TPU was gone; None: it was not."""


Happening = Died | Guilty | StoodIn | Lost | Returned


class Worker(Protocol):
    """The process that owns the camera and the serving model. It is kept alive: after a crash it is back
    within two seconds, with bounded backoff, serving what it served.
    """

    causes: dict[Cause, int]
    """Ends survived since the agent started."""

    @property
    def restarts(self) -> int:
        """All of them."""
        ...

    @property
    def pid(self) -> int | None: ...

    async def serve(self, offer: Offer) -> Serving | ServeFailed:
        """Switch to its preferred model between two frames; after a failure the previous one goes on serving.

        Where the Edge TPU fails, the fallback serves in its place, and the preferred model comes back by
        itself; without a fallback the answer is NEEDS_EDGETPU. A worker that dies while it loads counts as
        `ServeFailed` with WORKER_CRASHED, and comes back with the previous model.
        """
        ...

    def lent(self) -> AbstractAsyncContextManager[bool]:
        """Let another process have the Edge TPU meanwhile; the fallback serves, if there is one.

        Yields:
            whether something serves.
        """
        ...

    async def rest(self) -> None:
        """Serve nothing from now on; the camera goes on."""
        ...

    async def sample(self, timeout_s: float) -> Sampled | None:
        """The next predicted frame with its prediction; None where none came in time."""
        ...

    def pace(self, pace: Pace) -> None:
        """Hold the rate of classification down to this from now on, over restarts too."""
        ...

    async def snap(self, wanted: Snap, timeout_s: float) -> Snapped | SnapFailed:
        """A picture of the newest frame, even of one that no model has seen. After a crash of the worker, and
        where none came in time, it has failed.
        """
        ...

    def observe(self, sink: Callable[[Observation], None]) -> None:
        """Called for each message, in order, on the event loop."""
        ...

    def on_crash(self, sink: Callable[[str], None]) -> None:
        """Called with the reason ("killed by SIGSEGV", "exit 1", ...) each time the process dies unasked."""
        ...

    def watch(self, sink: Callable[[Happening], None]) -> None:
        """Called on the event loop for all that happens to what is served."""
        ...

    async def run(self) -> None:
        """Keep the process alive until cancelled; then end it within two seconds."""
        ...


class Canary(Protocol):
    """The short-lived process that meets a candidate first. Crash and time-out come back as values."""

    async def prove(self, prove: Prove, timeout_s: float) -> Findings | ProveFailed: ...

    async def shadow(self, frame: Shadow, timeout_s: float) -> Shadowed | ProveFailed: ...

    async def tune(self, tune: Tune, timeout_s: float) -> Tuned | ProveFailed: ...

    async def close(self) -> None:
        """Kill what is left of it. Idempotent."""
        ...


class SpawnCanary(Protocol):
    async def __call__(self) -> Canary: ...
