"""Whether a broker is there, and since when: told on the link's thread, read on others."""

from agent.core.page.words import Broker
from agent.ports.clock import Clock
from agent.ports.link import Down, LinkState, Up
from deploy.assemble.desk.hearing import Connections


class BrokerNews:
    """Each word replaces the one before it as a whole, so no reader sees half of one."""

    def __init__(self, clock: Clock, url: str) -> None:
        self._clock = clock
        self.connections = Connections()
        self.broker = Broker(up=False, place=url, since=clock.now(), reason="it has not answered yet")

    def told(self, state: LinkState) -> None:
        self.connections.told(state)
        before = self.broker
        match state:
            case Up(place=place):
                self.broker = Broker(up=True, place=place or before.place, since=self._clock.now())
            case Down(reason=reason):
                since = self._clock.now() if before.up else before.since
                self.broker = Broker(up=False, place=before.place, since=since, reason=reason)
