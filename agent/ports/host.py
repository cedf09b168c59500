"""What the machine tells of itself."""

from typing import Protocol

from agent.core.telemetry.vitals import Gauges


class Host(Protocol):
    def read(self) -> Gauges:
        """Never fails; may block for a moment, so call it on a thread, one call at a time."""
        ...
