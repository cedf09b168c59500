"""A release that waits until somebody on the device accepts it, and his word for it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from agent.core.page.words import Offered
from agent.core.update.lifecycle import Fitted
from agent.core.update.words import Accepted
from agent.ports.acceptance import Word
from agent.wire.errors import Unavailable
from agent.wire.topics import Digest

log = logging.getLogger(__name__)

POLL_S: Final = 1.0
"""While a release waits, so often it is asked whether somebody at the device has accepted it."""


class Acceptance:
    """On the event loop.

    Args:
        word: of whoever stands at the device; None: nothing waits here.
        accepted: told of a release that somebody wants.
    """

    def __init__(self, word: Word | None, accepted: Callable[[Accepted], None]) -> None:
        self._word, self._accepted = word, accepted
        self._offered: Offered | None = None
        self._coming: Offered | None = None
        self._shown: Offered | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def asks(self) -> bool:
        return self._word is not None

    @property
    def offered(self) -> Offered | None:
        return self._offered

    @property
    def coming(self) -> Offered | None:
        """What was accepted, and has not begun yet."""
        return self._coming

    async def start(self) -> None:
        """Nothing waits yet, and what was said to an agent before this one is over."""
        if self._word is not None:
            await asyncio.to_thread(self._word.taken)
            await asyncio.to_thread(self._word.offer, None)

    async def wait_for(self, release: Fitted | None) -> None:
        """What waits from now on."""
        offered = None if release is None else _offered(release)
        if self._word is None or offered == self._shown:
            return
        self._offered = self._shown = offered
        await asyncio.to_thread(self._word.offer, offered)
        if offered is not None:
            log.info("release.offered", extra={"release": f"{offered.name} {offered.version}"})
            self._look()

    def put_off(self, held: Fitted | None, accepted: Digest | None) -> None:
        """What may not begin yet: it comes, if it was accepted, which whoever held it may not have known."""
        known = {accepted, None if self._coming is None else self._coming.manifest}
        comes = self.asks and held is not None and held.manifest in known
        self._coming = _offered(held) if comes and held is not None else None

    def accept(self, version: str = "") -> Offered:
        """Begin what waits, and only that; empty: whatever version it is.

        Raises:
            Unavailable: nothing waits, or another version does.
        """
        offered = self._offered
        if offered is None:
            raise Unavailable("no release waits to be accepted")
        if version not in {"", offered.version}:
            raise Unavailable(f"{offered.name} {offered.version} waits to be accepted, not {version[:64]}")
        log.info("release.accepted", extra={"release": f"{offered.name} {offered.version}"})
        self._offered, self._coming = None, offered
        self._accepted(Accepted(offered.manifest))
        return offered

    def close(self) -> None:
        """Nobody is asked for his word any more."""
        self._rest()
        if self._word is not None:
            self._word.offer(None)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self._word is None or self._offered is None:
            return
        if self._word.taken() == self._offered.manifest:
            self.accept()
            return
        self._rest()
        self._timer = asyncio.get_running_loop().call_later(POLL_S, self._look)


def _offered(release: Fitted) -> Offered:
    return Offered(name=release.name, version=release.version, manifest=release.manifest)
