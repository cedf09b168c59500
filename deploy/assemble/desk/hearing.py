"""From when on the fleet could be heard without a break: no device has been silent for longer.

A controller that was away, a broker that was down and a machine that slept all make every device look silent
at once. None of them died of that.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from agent.ports.clock import Clock
from agent.ports.link import Down, LinkState, Up

log = logging.getLogger(__name__)

BREAK_S: Final = 30.0
"""A link that was away for less may have missed nothing that matters: what is retained is read again."""
LEAP: Final = timedelta(seconds=10.0)
"""Between the system's clock and the monotonic one, which stands still while the machine sleeps."""


class Connections:
    """How often the link was made; told on its own thread."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._down_s: float | None = None
        self.made = 0
        self.up = False
        self.away_s = 0.0
        """How long the last break lasted."""

    def told(self, state: LinkState) -> None:
        match state:
            case Up():
                self.away_s = 0.0 if self._down_s is None else self._monotonic_s() - self._down_s
                self._down_s = None
                self.made += 1
                self.up = True
            case Down():
                self._down_s = self._monotonic_s() if self._down_s is None else self._down_s
                self.up = False


class Hearing:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = self._clocks_differ_by()
        self.since: datetime | None = None
        """None: of what was before nothing is known, and nothing is to be excused."""

    def anew(self, why: str) -> None:
        """From now on."""
        self.since = self._clock.now()
        log.info("fleet.heard", extra={"since": self.since.isoformat(), "why": why})

    def look(self) -> None:
        """Notice that time was lost, or was never there."""
        ahead = self._clocks_differ_by()
        leapt, self._ahead = ahead - self._ahead, ahead
        if abs(leapt) > LEAP:
            self.anew(f"the clock leapt by {leapt.total_seconds():.0f} s")

    def _clocks_differ_by(self) -> timedelta:
        elapsed = timedelta(microseconds=self._clock.monotonic_ns() // 1_000)
        return (self._clock.now() - datetime.fromtimestamp(0, tz=self._clock.now().tzinfo)) - elapsed
