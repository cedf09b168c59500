"""What a worker has to say, sent by a thread of its own, so that the frame loop never waits for a pipe."""

from collections import deque
from threading import Condition
from typing import Final

from agent.ports.pipe import Pipe
from agent.wire.ipc import FromWorker, Predicted, ToWorker

PREDICTIONS_MAX: Final = 32
"""Predictions that wait for a supervisor that does not read; beyond it a fresher one replaces the oldest."""


class Replies:
    """Messages leave in the order in which they came; all but predictions leave without fail."""

    def __init__(self, pipe: Pipe[FromWorker, ToWorker]) -> None:
        self._pipe = pipe
        self._changed = Condition()
        self._waiting: deque[FromWorker] = deque()
        self._predictions = 0
        self._closed = False

    def put(self, message: FromWorker) -> None:
        with self._changed:
            self._waiting.append(message)
            if isinstance(message, Predicted):
                self._predictions += 1
                if self._predictions > PREDICTIONS_MAX:
                    self._forget_oldest_prediction()
            self._changed.notify()

    def close(self) -> None:
        """Let `run` return once everything is sent."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def run(self) -> None:
        """Send until closed."""
        while (message := self._next()) is not None:
            self._pipe.send(message)

    def _next(self) -> FromWorker | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            message = self._waiting.popleft()
            if isinstance(message, Predicted):
                self._predictions -= 1
            return message

    def _forget_oldest_prediction(self) -> None:
        oldest = next(index for index, waiting in enumerate(self._waiting) if isinstance(waiting, Predicted))
        del self._waiting[oldest]
        self._predictions -= 1
