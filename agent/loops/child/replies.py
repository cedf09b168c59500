"""What a worker has to say, ranked and sent by a thread of its own: the frame loop waits neither for a pipe
nor for anything that can be done while the model computes the next frame.
"""

from collections import deque
from threading import Condition
from typing import Final

from agent.loops.child.answers import Answer, tell
from agent.ports.clock import Clock
from agent.ports.pipe import Pipe
from agent.wire.ipc import FromWorker, ToWorker

ANSWERS_MAX: Final = 32
"""Answers that wait for a supervisor that does not read; beyond it a fresher one replaces the oldest."""


class Replies:
    """What is put leaves in the order in which it came; all but answers leave without fail."""

    def __init__(self, pipe: Pipe[FromWorker, ToWorker], clock: Clock) -> None:
        self._pipe, self._clock = pipe, clock
        self._changed = Condition()
        self._waiting: deque[FromWorker | Answer] = deque()
        self._answers = 0
        self._closed = False

    def put(self, message: FromWorker | Answer) -> None:
        with self._changed:
            self._waiting.append(message)
            if isinstance(message, Answer):
                self._answers += 1
                if self._answers > ANSWERS_MAX:
                    self._forget_oldest_answer()
            self._changed.notify()

    def close(self) -> None:
        """Let `run` return once everything is sent."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def run(self) -> None:
        """Send until closed."""
        while (message := self._next()) is not None:
            for ready in tell(message, self._clock) if isinstance(message, Answer) else (message,):
                self._pipe.send(ready)

    def _next(self) -> FromWorker | Answer | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            message = self._waiting.popleft()
            if isinstance(message, Answer):
                self._answers -= 1
            return message

    def _forget_oldest_answer(self) -> None:
        oldest = next(index for index, waiting in enumerate(self._waiting) if isinstance(waiting, Answer))
        del self._waiting[oldest]
        self._answers -= 1
