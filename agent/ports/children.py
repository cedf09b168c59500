"""The supervisor's view of its two child processes: native code runs there and nowhere else."""

from collections.abc import Callable
from typing import Protocol

from agent.wire.ipc import (
    CameraTurned,
    Findings,
    InvokeFailed,
    ModelSpec,
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
)

Observation = Predicted | InvokeFailed | CameraTurned


class Worker(Protocol):
    """The process that owns the camera and the serving model. It is kept alive: after a crash it is back
    within two seconds, with bounded backoff, serving what it served.
    """

    restarts: int
    """Crashes survived since the agent started."""
    pid: int | None

    async def serve(self, model: ModelSpec) -> Serving | ServeFailed:
        """Switch to this model between two frames; after a failure the previous one goes on serving.

        A worker that dies while it loads counts as `ServeFailed` with WORKER_CRASHED, and comes back with
        the previous model.
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

    async def run(self) -> None:
        """Keep the process alive until cancelled; then end it within two seconds."""
        ...


class Canary(Protocol):
    """The short-lived process that meets a candidate first. Crash and time-out come back as values."""

    async def prove(self, prove: Prove, timeout_s: float) -> Findings | ProveFailed: ...

    async def shadow(self, frame: Shadow, timeout_s: float) -> Shadowed | ProveFailed: ...

    async def close(self) -> None:
        """Kill what is left of it. Idempotent."""
        ...


class SpawnCanary(Protocol):
    async def __call__(self) -> Canary: ...
