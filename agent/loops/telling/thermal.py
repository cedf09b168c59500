"""Holds a pipeline's rate down while the SoC is hot."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from agent.core.telemetry import thermal
from agent.core.telemetry.thermal import Hold, Rules
from agent.core.telemetry.vitals import Gauges
from agent.loops.telling.pacer import Limit, Pacer
from agent.ports.clock import Clock

log = logging.getLogger(__name__)

RATE_OVER_S: Final = 10.0


class Thermostat:
    def __init__(
        self,
        rules: Rules,
        pacer: Pacer,
        predictions: Callable[[], int],
        clock: Clock,
        tell: Callable[[str, dict[str, str | int | float]], None],
    ) -> None:
        """
        Args:
            rules: when, and how far down.
            pacer: of the pipeline.
            predictions: how many frames were classified since the start; it only grows.
            clock: for the rate.
            tell: where events go.
        """
        self._rules, self._pacer, self._predictions = rules, pacer, predictions
        self._clock, self._tell = clock, tell
        self._counts: deque[tuple[int, int]] = deque()
        self._hold = Hold()
        self._held_ns = 0

    def configure(self, rules: Rules) -> None:
        """Other rules from the next reading on; where they never hold anything, what is held is free."""
        self._rules = rules
        if rules.step_down_at_c == 0 and self._hold.fps_max is not None:
            before, self._hold = self._hold, Hold()
            self._pacer.hold(Limit(None, ""))
            self._say(before, "", self._clock.monotonic_ns())

    def look(self, gauges: Gauges) -> None:
        now_ns = self._clock.monotonic_ns()
        fps = self._fps(now_ns)
        before, self._hold = self._hold, thermal.control(self._hold, self._rules, gauges.soc_c, fps, now_ns)
        if self._hold.fps_max != before.fps_max:
            why = thermal.reason(self._hold, self._rules)
            self._pacer.hold(Limit(self._hold.fps_max, why))
            self._say(before, why, now_ns)

    def _fps(self, now_ns: int) -> float:
        """Over the last seconds, from where frames began to be classified; 0 of one reading."""
        counts = self._counts
        counts.append((now_ns, self._predictions()))
        while len(counts) > 2 and (
            now_ns - counts[1][0] >= RATE_OVER_S * 1e9 or counts[1][1] == counts[0][1]
        ):
            counts.popleft()
        (begin_ns, begin), (end_ns, end) = self._counts[0], self._counts[-1]
        return (end - begin) / (end_ns - begin_ns) * 1e9 if end_ns > begin_ns else 0.0

    def _say(self, before: Hold, why: str, now_ns: int) -> None:
        """An event when it begins and when it ends; the steps between are in telemetry."""
        if self._hold.fps_max is None:
            lasted_s = round((now_ns - self._held_ns) / 1e9, 1)
            log.info("pace.restored", extra={"lasted_s": lasted_s})
            self._tell("pace.restored", {"lasted_s": lasted_s})
            return
        fps_max = round(self._hold.fps_max, 2)
        if before.fps_max is None:
            self._held_ns = now_ns
            log.warning("pace.lowered", extra={"fps_max": fps_max, "soc_c": self._hold.at_c})
            self._tell("pace.lowered", {"fps_max": fps_max, "reason": why})
        else:
            log.info("pace.stepped", extra={"fps_max": fps_max, "soc_c": self._hold.at_c})
