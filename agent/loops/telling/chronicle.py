"""Keeps the updates that have ended, for those who look later."""

import asyncio
import contextlib
import logging

from agent.core.page.past import with_newest
from agent.core.page.words import Past
from agent.ports.clock import Clock
from agent.ports.history import History
from agent.wire.errors import StoreFailed
from agent.wire.ipc import Predicted
from agent.wire.reports import Ended, Event, Report, Telemetry

log = logging.getLogger(__name__)


class Chronicle:
    """Of one pipeline; see `agent.ports.onlooker.Onlooker`. It sees all, and notes down how updates end."""

    def __init__(self, history: History, clock: Clock) -> None:
        self._history, self._clock = history, clock
        self._new = asyncio.Event()
        self.past = history.load()

    def ended(self, ended: Ended) -> None:
        self.past = with_newest(self.past, Past(at=self._clock.now(), ended=ended))
        self._new.set()

    async def run(self) -> None:
        """Until cancelled; what is not on disk yet then is brought there."""
        with contextlib.ExitStack() as last:
            last.callback(self._keep)
            while True:
                await self._new.wait()
                await asyncio.to_thread(self._keep)

    def _keep(self) -> None:
        if not self._new.is_set():
            return
        self._new.clear()
        try:
            self._history.save(self.past)
        except StoreFailed as error:
            log.warning("history.not-kept", extra={"error": str(error)})

    def saw(self, seen: Predicted, name: str, version: str, delegate: str) -> None: ...

    def told(self, report: Report) -> None: ...

    def measured(self, telemetry: Telemetry) -> None: ...

    def happened(self, event: Event) -> None: ...
