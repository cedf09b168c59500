"""Watches for an invocation on an Edge TPU that does not return; the thread that waits for it cannot."""

from collections.abc import Callable
from threading import Event, Thread
from typing import Final

from agent.core.serving import overdue
from agent.loops.child.loading import Loaded
from agent.wire.ipc import InvokeHangs

TICK_S: Final = 0.2
FADES: Final = 0.98
"""With every invocation the longest one before it counts for this much less."""


class Overdue:
    """A model's thread says when it begins an invocation and when it has ended.

    Time is counted in looks, not by the clock: a host that stood still for a while has hung nothing.
    """

    def __init__(self, tell: Callable[[InvokeHangs], None]) -> None:
        self._tell = tell
        self._of: Loaded | None = None
        self._slowest_ms = 0.0
        self._current: object | None = None
        self._woken = Event()
        self._thread: Thread | None = None

    def watch(self, loaded: Loaded) -> None:
        """From now on invocations are of this model; only one that is on an Edge TPU is watched."""
        self._of = loaded if loaded.spec.edgetpu is not None else None
        self._slowest_ms = loaded.first_ms
        if self._of is not None and self._thread is None:
            self._thread = Thread(target=self._run, name="overdue", daemon=True)
            self._thread.start()

    def begin(self) -> None:
        self._current = object()

    def end(self, took_ms: float) -> None:
        self._current = None
        self._slowest_ms = max(took_ms, FADES * self._slowest_ms)

    def close(self) -> None:
        self._woken.set()

    def _run(self) -> None:
        seen, looks = None, 0
        while not self._woken.wait(TICK_S):
            current, of = self._current, self._of
            looks = looks + 1 if current is seen and current is not None else 0
            seen = current
            if of is None:
                continue
            slowest_ms = self._slowest_ms
            limit_s = overdue.limit_s(slowest_ms)
            if looks * TICK_S >= limit_s:
                detail = overdue.in_words(limit_s, slowest_ms)
                self._tell(InvokeHangs(manifest=of.spec.manifest, detail=detail))
                return
