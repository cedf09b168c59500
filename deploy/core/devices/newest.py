"""Which of what independent brokers hold of a device is its newest word.

A device that went from one broker to another leaves a report behind, and a status that is no longer its own:
the old broker puts the last will over it, or, killed itself, keeps the word `online` for ever.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from agent.wire.errors import Malformed
from agent.wire.reports import Presence
from agent.wire.topics import REPORT, STATUS, DeviceId, Root

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class _Told(msgspec.Struct, frozen=True):
    """As much of a report as tells its age."""

    boot: int = 0
    number: int = 0
    at: datetime | None = None

    @property
    def age(self) -> tuple[int, int, datetime]:
        return self.boot, self.number, self.at or _LONG_AGO


class _Said(msgspec.Struct, frozen=True):
    """As much of a status."""

    state: Presence
    boot: int = 0
    at: datetime | None = None

    @property
    def age(self) -> tuple[int, datetime]:
        return self.boot, self.at or _LONG_AGO


@dataclass(slots=True)
class Newest:
    """The age is what the documents say of themselves; whether they are a device's own is judged elsewhere.

    What cannot be read passes: whoever judges it shall see it.
    """

    root: Root
    _reports: dict[str, tuple[int, tuple[int, int, datetime]]] = field(default_factory=dict)
    """By topic: the broker, and the age of what it holds."""
    _online: dict[DeviceId, tuple[int, tuple[int, datetime]]] = field(default_factory=dict)
    """The broker on which the device was last heard to be online, and when."""

    def passes(self, broker: int, topic: str, content: bytes) -> bool:
        try:
            address = self.root.parse(topic)
            if address.device is None or not content:
                return True
            if address.channel is REPORT:
                return self._report(broker, topic, msgspec.json.decode(content, type=_Told))
            if address.channel is STATUS:
                return self._status(broker, address.device, msgspec.json.decode(content, type=_Said))
        except (Malformed, msgspec.DecodeError, UnicodeDecodeError):
            pass
        return True

    def _report(self, broker: int, topic: str, told: _Told) -> bool:
        """What a broker says after itself passes, however old: it may be a replay, which is to be seen."""
        known = self._reports.get(topic)
        if known is not None and known[0] != broker and told.age < known[1]:
            return False
        if known is None or told.age >= known[1]:
            self._reports[topic] = broker, told.age
        return True

    def _status(self, broker: int, device: DeviceId, said: _Said) -> bool:
        """Who is offline is so where it was last online."""
        known = self._online.get(device)
        if said.state is Presence.OFFLINE:
            return known is None or known[0] == broker
        if known is not None and known[0] != broker and said.age < known[1]:
            return False
        self._online[device] = broker, said.age
        return True
