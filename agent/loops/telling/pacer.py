"""How often a pipeline classifies: what the heat allows, unless a person has paused it."""

from dataclasses import dataclass

from agent.ports.children import Worker
from agent.wire.ipc import Pace


@dataclass(frozen=True, slots=True)
class Limit:
    """The rate that classification is held down to, and why; None: as many frames as come."""

    fps_max: float | None = None
    reason: str = ""


class Pacer:
    """The one that tells the worker its pace, so that neither reason to slow down undoes the other.

    A pause outlives the worker's restarts, and ends with the agent.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._limit = Limit()
        self.paused = False

    @property
    def limit(self) -> Limit:
        """What holds now."""
        return Limit(0.0, "paused by a command") if self.paused else self._limit

    def pause(self) -> None:
        """Classify nothing until `resume`; the camera goes on."""
        self.paused = True
        self._tell()

    def resume(self) -> None:
        self.paused = False
        self._tell()

    def hold(self, limit: Limit) -> None:
        """Classify at most that many frames a second, from now on or from when a pause ends."""
        self._limit = limit
        if not self.paused:
            self._tell()

    def _tell(self) -> None:
        self._worker.pace(Pace(fps_max=self.limit.fps_max))
