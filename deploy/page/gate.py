"""The gate of a fleet's page."""

from starlette.requests import HTTPConnection

from agent.adapters.web.gate import Gate
from agent.core.page.access import Person, Role
from deploy.page.people import People


class FleetGate(Gate):
    """Where nobody has a name yet, whoever is at this very machine may look."""

    def __init__(self, people: People, name: str, *, tls: bool, loopback: bool) -> None:
        super().__init__(people, name, tls=tls)
        self._people, self._loopback = people, loopback

    @property
    def asks(self) -> bool:
        return self._people.any or not self._loopback

    def admit(self, request: HTTPConnection) -> Person | None:
        return super().admit(request) if self.asks else Person("", Role.VIEWER)
