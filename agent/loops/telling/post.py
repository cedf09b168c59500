"""Where everything goes that the device says."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.loops.telling.drain import Drain, Lane
from agent.loops.telling.signet import UNSEALED, Signet
from agent.ports.link import Link, Outgoing
from agent.wire.topics import Channel


@dataclass(frozen=True, slots=True)
class Mail:
    """What is kept until the broker has it, by channel."""

    drain: Drain
    lanes: Mapping[Channel, Lane]


class Post:
    """Without mail nothing is kept."""

    def __init__(
        self, link: Link, mail: Mail | None = None, session: str = "", signet: Signet = UNSEALED
    ) -> None:
        self._link, self._mail, self.session, self.signet = link, mail, session, signet
        self._number = 0

    def number(self) -> int:
        """The next of this session, from 1: a reader knows a repeat by both."""
        self._number += 1
        return self._number

    def send(self, outgoing: Outgoing) -> None:
        """Now, or not at all: what is lost while the link is down is stale when it is back."""
        self._link.publish(outgoing)

    def keeps(self, channel: Channel) -> bool:
        return self._mail is not None and channel in self._mail.lanes

    def behind(self, channel: Channel) -> bool:
        """Whether what is kept next has to wait for others on its channel, though there is a connection."""
        return (
            self._mail is not None
            and self.keeps(channel)
            and self._mail.drain.behind(self._mail.lanes[channel])
        )

    def keep(self, channel: Channel, outgoing: Outgoing) -> None:
        """On disk until the broker has it, in order with its channel; sent at once where nothing waits."""
        if self._mail is None or channel not in self._mail.lanes:
            self.send(outgoing)
        else:
            self._mail.drain.put(self._mail.lanes[channel], outgoing)
