"""The broker's state in words, for whoever asks later."""

from collections.abc import Callable

from agent.core.page.words import Broker
from agent.ports.clock import Clock
from agent.ports.link import LinkState, Up


class Upstream:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watchers: list[Callable[[Broker], None]] = []
        self.broker = Broker(up=False)

    def turned(self, state: LinkState) -> None:
        now, before = self._clock.now(), self.broker
        if isinstance(state, Up):
            self.broker = Broker(up=True, place=state.place, since=now)
        else:
            since = now if before.up else before.since
            self.broker = Broker(up=False, place=before.place, since=since, reason=state.reason)
        for watcher in tuple(self._watchers):
            watcher(self.broker)

    def watch(self, watcher: Callable[[Broker], None]) -> Callable[[], None]:
        """Until the function returned here is called."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)
