"""Which start of the agent speaks, and the key that it seals with."""

from dataclasses import dataclass, field

from agent.wire import codec
from agent.wire.documents import Document
from agent.wire.seal import seal


@dataclass(frozen=True, slots=True)
class Signet:
    boot: int = 0
    """Of the agent, over the life of the device."""
    key: bytes | None = field(default=None, repr=False)
    """None: the device was given none, and what it tells bears no seal."""

    def pressed(self, topic: str, document: Document) -> bytes:
        """The document as it goes out on this topic."""
        content = codec.encode(document)
        return content if self.key is None else seal(topic, content, self.key)


UNSEALED = Signet()
