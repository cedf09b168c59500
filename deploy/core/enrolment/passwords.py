"""Mosquitto's password file: `name:$7$iterations$salt$hash`, PBKDF2 with HMAC-SHA512 (RFC 8018).

Source: mosquitto 2.0, src/password_mosq.c. It takes a salt of exactly twelve bytes. The iterations are its
own default: the passwords are 256 bits of randomness, not a person's.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Final

SALT_BYTES: Final = 12
ITERATIONS: Final = 101


def line(name: str, password: str, salt: bytes) -> str:
    made = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"{name}:$7${ITERATIONS}${_text(salt)}${_text(made)}"


def file(lines: Mapping[str, str]) -> str:
    """Sorted by name."""
    return "".join(f"{lines[name]}\n" for name in sorted(lines))


def parse(text: str) -> dict[str, str]:
    """The lines of a file by their names."""
    return {each.partition(":")[0]: each for each in text.splitlines() if ":" in each}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
