"""Messages on a pipe, from the process that receives them to the one that reads them."""

import struct
from typing import Final

HEAD: Final = struct.Struct(">HI")
"""Bytes of the topic, in UTF-8, and of the payload, which follow."""


def packed(topic: str, payload: bytes) -> bytes:
    told = topic.encode()
    return HEAD.pack(len(told), len(payload)) + told + payload


def lost(count: int) -> bytes:
    """So many messages did not fit: a message without a topic."""
    return packed("", str(count).encode())
