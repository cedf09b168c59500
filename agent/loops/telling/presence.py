"""Whether the device is there: a retained word, and the last will that takes it back."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime

from agent.loops.telling.post import Post
from agent.loops.telling.signet import UNSEALED, Signet
from agent.ports.link import Outgoing
from agent.wire import reports, topics
from agent.wire.reports import Status
from agent.wire.topics import DeviceId, Root


def will(root: Root, device: DeviceId, session: str, signet: Signet = UNSEALED) -> Outgoing:
    """The last will: the broker says offline where the device no longer can."""
    status = Status(state=reports.Presence.OFFLINE, session=session, boot=signet.boot)
    return _outgoing(root, device, status, signet)


def new_session() -> str:
    return uuid.uuid4().hex[:12]


class Presence:
    """Says that the device is there, again and again: a broker that is killed speaks no last will."""

    def __init__(
        self,
        post: Post,
        root: Root,
        device: DeviceId,
        session: str,
        now: Callable[[], datetime],
        beat_s: float,
    ) -> None:
        self._post, self._root, self._device, self._session = post, root, device, session
        self._now, self._beat_s = now, beat_s
        self._broker: str | None = None

    def connected(self, broker: str = "") -> None:
        self._broker = broker
        self._say(reports.Presence.ONLINE)

    def disconnected(self) -> None:
        self._broker = None

    def leaving(self, *, orderly: bool) -> None:
        """
        Args:
            orderly: it was told to stop, and nothing failed.
        """
        self._say(reports.Presence.OFFLINE, goodbye=orderly)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._beat_s)
            if self._broker is not None:
                self._say(reports.Presence.ONLINE)

    def _say(self, state: reports.Presence, *, goodbye: bool = False) -> None:
        signet = self._post.signet
        status = Status(
            state=state,
            session=self._session,
            boot=signet.boot,
            at=self._now(),
            beat_s=self._beat_s,
            broker=self._broker or "",
            goodbye=goodbye,
        )
        self._post.send(_outgoing(self._root, self._device, status, signet))


def _outgoing(root: Root, device: DeviceId, status: Status, signet: Signet) -> Outgoing:
    topic = root.device(topics.STATUS, device)
    return Outgoing(topic, signet.pressed(topic, status), topics.STATUS.qos, topics.STATUS.retain)
