r"""How a device that has none asks for an identity, over a broker that nobody trusts.

A factory image holds a claim token: its name, 32 secret bytes, and the fleet's enrolment key (public, P-256).
A device makes a key pair of its own, and asks under a random name of its own:

    claim/<name>/request   what it is, and a certificate request (PKCS#10) for its key; sealed with the token
    claim/<name>/answer    its id and a certificate for that key; sealed with the token

    seal key = HKDF-SHA256(ECDH(device key, enrolment key), info = "shoal seal" + root + id)     RFC 5869

What others can gain from it:

- Who reads along learns nothing secret: certificates and public keys. The seal key is computed on both sides.
- Who forges or changes a request lacks the token, and it is not heeded. Who replays one has a certificate
  made for somebody else's key; it is the same as the first one, and uses up nothing.
- Who forges or replays an answer lacks the token, or fails at the name inside the seal, or at the device's
  own key, which the certificate must be for, or at the fleet's authority, which the image pins.
- Who takes the token out of an image can ask for identities as long as the token is good: it is for so many
  devices, it ends, it can be revoked, and an operator may want to accept each by hand. He cannot become a
  device that is there, nor read or forge what one says.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Annotated, Final

from msgspec import Meta

from agent.wire.documents import Count, Document, Instant, Segment
from agent.wire.errors import Malformed
from agent.wire.seal import KEY_BYTES
from agent.wire.topics import DeviceId, Root

PEM_MAX_CHARS: Final = 4_096
Pem = Annotated[str, Meta(max_length=PEM_MAX_CHARS)]
Words = Annotated[str, Meta(max_length=200)]
_TOKEN: Final = re.compile(rb"\s*([A-Za-z0-9][A-Za-z0-9._-]{0,63}) ([0-9a-fA-F]{64})\s*")


class ClaimRequest(Document, frozen=True, kw_only=True):
    """Retained until it is answered."""

    token: Segment
    request: Pem
    at: Instant
    host: Words = ""
    machine: Words = ""


class ClaimAnswer(Document, frozen=True, kw_only=True):
    """Retained."""

    device: Segment
    certificate: Pem
    tags: Annotated[tuple[Segment, ...], Meta(max_length=64)] = ()
    boots_above: Count = 0
    """As in `seal.DeviceKey`."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a factory image may claim with."""

    name: str
    secret: bytes = field(repr=False)


def token_text(token: Token) -> bytes:
    """As its file holds it."""
    return f"{token.name} {token.secret.hex()}\n".encode()


def token_from(content: bytes) -> Token:
    """The inverse of `token_text`.

    Raises:
        Malformed: it is no such line.
    """
    found = _TOKEN.fullmatch(content)
    if found is None:
        raise Malformed("a claim token is one line: its name, and 64 hexadecimal digits")
    return Token(found[1].decode(), bytes.fromhex(found[2].decode()))


def seal_secret(shared: bytes, root: Root, device: DeviceId) -> bytes:
    """What the device seals with, from the ECDH of its key and the fleet's enrolment key."""
    return hkdf(shared, b"\n".join((b"shoal seal", root.prefix.encode(), device.encode())))


def hkdf(secret: bytes, info: bytes, salt: bytes = b"", length: int = KEY_BYTES) -> bytes:
    """Extract and expand with SHA-256. Source: RFC 5869, section 2."""
    key = hmac.new(salt or bytes(hashlib.sha256().digest_size), secret, hashlib.sha256).digest()
    made, block = b"", b""
    while len(made) < length:
        counter = bytes([len(made) // hashlib.sha256().digest_size + 1])
        block = hmac.new(key, block + info + counter, hashlib.sha256).digest()
        made += block
    return made[:length]
