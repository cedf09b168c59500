"""Somebody who may write to the broker, and reports on behalf of dead devices that all is well."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from agent.ports.link import LinkState, Outgoing
from agent.wire import codec, topics
from agent.wire.documents import Document
from agent.wire.reports import Phase, Report, Status
from agent.wire.reports import Presence as Word
from agent.wire.topics import Channel, DeviceId
from deploy.simulation.device import Place
from deploy.simulation.link import FleetLink
from deploy.simulation.packets import Hello
from deploy.simulation.telling import Begun
from deploy.simulation.wire import Dial

DELAY_S: Final = 1.0
"""After the broker has said that the device is gone."""
HIGH: Final = 1_000_000
"""A boot that no device has reached."""


class Impostor:
    def __init__(self, place: Place) -> None:
        self._place, self._root = place, topics.root(place.root)
        self._link: FleetLink | None = None
        self._begun: Begun | None = None
        self._number = 0

    def learn(self, begun: Begun) -> None:
        """What to claim."""
        self._begun = begun

    def speak_for(self, device: DeviceId) -> None:
        if self._link is None:
            hello = Hello(f"impostor-{device}", 30, None, self._place.username, self._place.password)
            dial = Dial(self._place.host, self._place.port, hello)
            self._link = FleetLink(dial, asyncio.get_running_loop())
            self._link.open(_ignore)
        asyncio.get_running_loop().call_later(DELAY_S, self._forge, device)

    def close(self) -> None:
        if self._link is not None:
            self._link.perish()

    def _forge(self, device: DeviceId) -> None:
        if self._begun is None:
            return
        self._number += 1
        self._say(topics.STATUS, device, Status(state=Word.ONLINE, session="forged", boot=HIGH))
        report = Report(
            device=device,
            at=datetime.fromtimestamp(asyncio.get_running_loop().time(), UTC),
            phase=Phase.IDLE,
            active=self._begun.running,
            plan_serial=HIGH,
            boot=HIGH,
            number=self._number,
        )
        self._say(topics.REPORT, device, report)

    def _say(self, channel: Channel, device: DeviceId, document: Document) -> None:
        if self._link is not None:
            topic = self._root.device(channel, device)
            self._link.publish(Outgoing(topic, codec.encode(document), channel.qos, channel.retain))


def _ignore(_: LinkState) -> None:
    pass
