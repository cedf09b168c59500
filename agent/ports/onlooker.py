"""Whoever wants to know what a pipeline does, besides the broker: a page, figures, a home's automation."""

from typing import Protocol

from agent.wire.ipc import Predicted
from agent.wire.reports import Ended, Event, Report, Telemetry


class Onlooker(Protocol):
    """Of one pipeline. Called in passing, on the event loop: it takes notes, and does its work elsewhere."""

    def saw(self, seen: Predicted, name: str, version: str, delegate: str) -> None:
        """A classified frame, published or not, and the release that it was classified with."""
        ...

    def told(self, report: Report) -> None:
        """The report is another one."""
        ...

    def measured(self, telemetry: Telemetry) -> None:
        """A window has ended."""
        ...

    def happened(self, event: Event) -> None: ...

    def ended(self, ended: Ended) -> None:
        """An update has; the same one may be told again after a power cut."""
        ...
