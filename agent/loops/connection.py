"""The link's state, told on the event loop instead of on the link's own thread."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from agent.ports.link import Link, LinkState, Up

Watcher = Callable[[LinkState], None]


class Connection:
    """Whether the link is up. Everything here but the link's callback runs on one event loop."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._up = asyncio.Event()
        self._watchers: list[Watcher] = []

    def open(self) -> None:
        """Open the link; call it on the running loop that shall hear of its states."""
        loop = asyncio.get_running_loop()

        def on_state(state: LinkState) -> None:
            # The link's thread may outlive the loop by a moment when everything ends.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._turn, state)

        self._link.open(on_state)

    @property
    def is_up(self) -> bool:
        return self._up.is_set()

    async def wait_up(self) -> None:
        await self._up.wait()

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call this watcher on the loop at every change, until the function returned here is called."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def close(self) -> None:
        """Close the link, which takes up to two seconds; the loop goes on meanwhile."""
        await asyncio.to_thread(self._link.close)
        self._up.clear()

    def _turn(self, state: LinkState) -> None:
        if isinstance(state, Up):
            self._up.set()
        else:
            self._up.clear()
        for watcher in tuple(self._watchers):
            watcher(state)
