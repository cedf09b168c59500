"""SIGHUP: the configuration file is read again, and what can change in a running agent does."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from agent import config
from agent.config import Settings
from agent.wire.errors import ConfigError

log = logging.getLogger(__name__)

Tell = Callable[[str, dict[str, str | int | float]], None]


class Reload:
    """Runs on the event loop.

    Args:
        path: of the file.
        settings: what runs.
        apply: takes settings that differ from what runs in what is safe to change, and in nothing else.
        tell: where events go.
        around: entered while the file is read and its changes are made.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings,
        apply: Callable[[Settings], None],
        tell: Tell,
        around: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._path, self._settings, self._apply, self._tell = path, settings, apply, tell
        self._around = around
        self._asked = asyncio.Event()

    def ask(self) -> None:
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            with self._around():
                await self._read()

    async def _read(self) -> None:
        try:
            wanted = await asyncio.to_thread(config.read, self._path)
        except ConfigError as error:
            log.error("config.refused", extra={"detail": str(error)})  # noqa: TRY400 - no fault of the program
            self._tell("config.refused", {"detail": f"{error}; the settings stay as they were"})
            return
        changes = config.compare(self._settings, wanted)
        self._settings = changes.settings
        self._apply(changes.settings)
        log.info("config.reloaded", extra={"changes": changes.words})
        self._tell(
            "config.reloaded",
            {
                "changes": changes.words,
                "applied": len(changes.applied),
                "needs_restart": len(changes.restart),
            },
        )
