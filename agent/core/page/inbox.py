"""What one listener has not taken yet: bounded, however slow it is."""

from collections import deque
from typing import Final

from agent.core.page.words import Happened, Happening, Measured, Seen, Told, Turned

FRAMES_WAIT: Final = 64
OTHERS_WAIT: Final = 128


class Inbox:
    """Of frames, windows and events the oldest give way; of reports and of the broker's state only the newest
    counts, and it is never lost.
    """

    def __init__(self) -> None:
        self._frames: deque[Seen] = deque(maxlen=FRAMES_WAIT)
        self._others: deque[Measured | Happened] = deque(maxlen=OTHERS_WAIT)
        self._reports: dict[str, Told] = {}
        self._broker: Turned | None = None

    def put(self, happening: Happening) -> None:
        match happening:
            case Seen():
                self._frames.append(happening)
            case Told(report=report):
                self._reports[report.pipeline] = happening
            case Turned():
                self._broker = happening
            case Measured() | Happened():
                self._others.append(happening)

    def take(self) -> tuple[Happening, ...]:
        """All of it: how things stand, then what happened, then the frames, each oldest first."""
        broker = () if self._broker is None else (self._broker,)
        taken = (*broker, *self._reports.values(), *self._others, *self._frames)
        self._broker = None
        for waiting in (self._reports, self._others, self._frames):
            waiting.clear()
        return taken
