"""A pipe of the receiving process, read at once."""

from agent.ports.link import Message
from deploy.core.page.parcels import HEAD


def unpacked(written: bytes) -> list[Message]:
    """What lost messages are told by has no topic."""
    found = []
    while written:
        topic, payload = HEAD.unpack(written[: HEAD.size])
        body, written = (
            written[HEAD.size : HEAD.size + topic + payload],
            written[HEAD.size + topic + payload :],
        )
        found.append(Message(body[:topic].decode(), body[topic:]))
    return found
