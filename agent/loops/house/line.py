"""What a home's automation is told of one pipeline, and can have done there."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.ports.onlooker import Onlooker
from agent.wire.homeassistant import ModelState
from agent.wire.ipc import Predicted, Snapped
from agent.wire.reports import Ended, Event, Report, Telemetry


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    model: Callable[[], ModelState | None]
    """None until it is known what the device is to run."""
    accept: Callable[[str], object]
    """Begin what waits, if it is this version; of none, whatever waits. It raises `Unavailable`."""
    watch: Callable[[Onlooker], object]
    picture: Callable[[], Awaitable[Snapped]]
    """It raises `PortError` where there is none."""
    paused: Callable[[], bool]


class Turns:
    """An `Onlooker` that wants to know nothing but that the report is another one."""

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told

    def told(self, report: Report) -> None:
        del report
        self._told()

    def saw(self, seen: Predicted, name: str, version: str, delegate: str) -> None: ...

    def measured(self, telemetry: Telemetry) -> None: ...

    def happened(self, event: Event) -> None: ...

    def ended(self, ended: Ended) -> None: ...
