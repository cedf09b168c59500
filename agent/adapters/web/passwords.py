"""Passwords as they are stored and compared."""

import base64
import binascii
import hashlib
import hmac
import os
from typing import Final

from agent.core.page.access import Person, Role

LOG2_N: Final = 15
R: Final = 8
P: Final = 1
MEMORY_BYTES: Final = 64 * 1024 * 1024
"""128 N r bytes are needed: 32 MiB."""
SALT_BYTES: Final = 16
DIGEST_BYTES: Final = 32


def stored(password: str) -> str:
    """As it may stand in a file: `scrypt$15$8$1$SALT$DIGEST`, both in base64.

    Source: RFC 7914; cost as the OWASP Password Storage Cheat Sheet has it for 32 MiB and one lane, times
    a third, which is 0.1 s on a desk.
    """
    salt = os.urandom(SALT_BYTES)
    digest = _scrypt(password, salt, LOG2_N, R, P)
    return "$".join(("scrypt", str(LOG2_N), str(R), str(P), _text(salt), _text(digest)))


def matches(password: str, kept: str) -> bool:
    """Whether `kept` was made of this password; takes as long as making it. Nothing matches what is no such
    text.
    """
    try:
        kind, log2_n, r, p, salt, digest = kept.split("$")
        if not 1 <= int(log2_n) <= LOG2_N:
            return False
        wanted = base64.b64decode(digest, validate=True)
        found = _scrypt(password, base64.b64decode(salt, validate=True), int(log2_n), int(r), int(p))
    except (ValueError, binascii.Error, OverflowError, MemoryError):
        return False
    return kind == "scrypt" and hmac.compare_digest(found, wanted)


def _scrypt(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=1 << log2_n, r=r, p=p, maxmem=MEMORY_BYTES, dklen=DIGEST_BYTES
    )


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


class OnePassword:
    """A device's: whoever knows it may do all that its page offers. Implements `gate.Users`."""

    def __init__(self, password: str) -> None:
        self._digest = hashlib.sha256(password.encode()).digest()

    def by_password(self, name: str, password: str) -> Person | None:  # noqa: ARG002 - it has no names
        return self.by_token(password)

    def by_token(self, token: str) -> Person | None:
        found = hashlib.sha256(token.encode()).digest()
        return Person("", Role.APPROVER) if hmac.compare_digest(found, self._digest) else None

    def still(self, person: Person) -> Person | None:
        return person
