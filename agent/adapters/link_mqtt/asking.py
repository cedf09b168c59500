"""What was asked for and has not come, on a broker whose nodes may not know yet what another was given.

Such a broker answers a subscription to a retained message with nothing, and says nothing later either. So it
is asked again, each time after twice the silence, while nothing else comes: where something does, the line is
at work. A topic that keeps nothing is given up.
"""

from collections.abc import Iterable
from typing import Final

FIRST_S: Final = 1.0
TIMES: Final = 5


class Unanswered:
    """Instants are seconds on a monotonic clock."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[float, int]] = {}
        """By topic: when it was asked for last, and how often again."""
        self._heard_s = 0.0

    def ask(self, filters: Iterable[str], now_s: float) -> None:
        """Of a wildcard nobody knows what it should bring."""
        exact = (each for each in filters if "+" not in each and "#" not in each)
        self._asked |= dict.fromkeys(exact, (now_s, 0))

    def drop(self, filters: Iterable[str]) -> None:
        for each in filters:
            self._asked.pop(each, None)

    def heard(self, topic: str, now_s: float) -> None:
        self._heard_s = now_s
        self._asked.pop(topic, None)

    def due(self, now_s: float) -> tuple[str, ...]:
        """What is to be asked for again now."""
        if now_s - self._heard_s < FIRST_S:
            return ()
        overdue = {
            topic: times
            for topic, (at_s, times) in self._asked.items()
            if now_s - at_s >= FIRST_S * 2.0**times
        }
        for topic, times in overdue.items():
            if times + 1 < TIMES:
                self._asked[topic] = now_s, times + 1
            else:
                del self._asked[topic]
        return tuple(overdue)
