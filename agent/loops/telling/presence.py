"""Whether the device is there: a retained word, and the last will that takes it back."""

import uuid

from agent.loops.telling.post import Post
from agent.loops.telling.signet import UNSEALED, Signet
from agent.ports.link import Outgoing
from agent.wire import reports, topics
from agent.wire.reports import Status
from agent.wire.topics import DeviceId, Root


def will(root: Root, device: DeviceId, session: str, signet: Signet = UNSEALED) -> Outgoing:
    """The last will: the broker says offline where the device no longer can."""
    return _status(root, device, reports.Presence.OFFLINE, session, signet)


def new_session() -> str:
    return uuid.uuid4().hex[:12]


class Presence:
    def __init__(self, post: Post, root: Root, device: DeviceId, session: str) -> None:
        self._post, self._root, self._device, self._session = post, root, device, session

    def connected(self) -> None:
        self._say(reports.Presence.ONLINE)

    def leaving(self) -> None:
        self._say(reports.Presence.OFFLINE)

    def _say(self, state: reports.Presence) -> None:
        self._post.send(_status(self._root, self._device, state, self._session, self._post.signet))


def _status(root: Root, device: DeviceId, state: reports.Presence, session: str, signet: Signet) -> Outgoing:
    topic = root.device(topics.STATUS, device)
    content = signet.pressed(topic, Status(state=state, session=session, boot=signet.boot))
    return Outgoing(topic, content, topics.STATUS.qos, topics.STATUS.retain)
