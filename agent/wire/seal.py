r"""Seals: what a device tells, with a code that only it and its operator can make.

    seal = HMAC-SHA256(key, topic + "\n" + document)          RFC 2104, in 64 lowercase hexadecimal digits

The document is a JSON object, and the sealed one is the same with the seal as its last field: whoever does
not hold the key reads it as before. The topic is inside, so that nothing can be replayed as another device's;
what is older than what was seen is told by `boot` and `number` inside the document.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from agent.wire.errors import Malformed

KEY_BYTES: Final = 32
_KEY: Final = re.compile(rb"\s*([0-9a-fA-F]{64})(?: (\d{1,15}))?\s*")
_TAIL: Final = re.compile(rb',"seal":"([0-9a-f]{64})"\}')
SEAL_BYTES: Final = len(b',"seal":""') + 2 * hashlib.sha256().digest_size
"""By which a sealed document is longer."""


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """What a device is given to seal with."""

    secret: bytes = field(repr=False)
    boots_above: int = 0
    """It counts its boots from there: one that was set up anew is not taken for a replay of itself."""


def key_text(key: DeviceKey) -> bytes:
    """The key as its file holds it: one line of 64 hexadecimal digits, and a number where there is one."""
    above = f" {key.boots_above}" if key.boots_above else ""
    return f"{key.secret.hex()}{above}\n".encode()


def key_from(content: bytes) -> DeviceKey:
    """The inverse of `key_text`.

    Raises:
        Malformed: it is no such line.
    """
    found = _KEY.fullmatch(content)
    if found is None:
        raise Malformed("a seal key is one line of 64 hexadecimal digits, and at most a number behind them")
    return DeviceKey(bytes.fromhex(found[1].decode()), int(found[2] or 0))


def seal(topic: str, document: bytes, key: bytes) -> bytes:
    """The document, a JSON object with at least one field, with its seal."""
    return document[:-1] + b',"seal":"' + _code(topic, document, key) + b'"}'


def unseal(topic: str, content: bytes, key: bytes) -> bytes:
    """The document that was sealed.

    Raises:
        Malformed: there is no seal, or it is not this key's over this document under this topic.
    """
    found = _TAIL.fullmatch(content, max(len(content) - SEAL_BYTES - 1, 0))
    if found is None:
        raise Malformed(f"{topic} bears no seal, and its device seals what it tells")
    document = content[: found.start()] + b"}"
    if not hmac.compare_digest(found[1], _code(topic, document, key)):
        raise Malformed(f"{topic} bears a seal that its device did not make")
    return document


def _code(topic: str, document: bytes, key: bytes) -> bytes:
    return hmac.new(key, topic.encode() + b"\n" + document, hashlib.sha256).hexdigest().encode()
