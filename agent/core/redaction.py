"""Text that leaves the device must hold no secret."""

import re
from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "***"
SHORTEST: Final = 4
"""A shorter secret would be found in every other word; whoever has one is warned by nobody."""

# Each begins with something rare, so that a long line without a secret is read once, not once a letter.
_USERINFO: Final = re.compile(r"://[^\s/@:]*:(?!\d+(?:[/\s]|\Z))\S*@")
"""Up to the last @: people forget to quote the one in a password, and the slash."""
_NAMED: Final = re.compile(
    r"(?P<name>(?:(?:password|passwd|passphrase|pwd|secret|token|api_?key)[\w.-]{0,24}|(?<![a-z])(?:pass|auth))"
    r"['\"]?\s*[=:]\s*)"
    r"(?:'[^']*'|\"[^\"]*\"|[^\s,;&'\"]+)",
    re.IGNORECASE,
)
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without passwords in addresses, without what is called a password, token or secret, without
    private keys, and without these very secrets.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, HIDDEN)
    text = _PEM.sub(HIDDEN, text)
    text = _USERINFO.sub(f"://{HIDDEN}@", text)
    return _NAMED.sub(rf"\g<name>{HIDDEN}", text)


def shown_url(url: str) -> str:
    """The address as it may be printed, however badly it is written: without user and password, and without
    what its query calls a password.
    """
    credentials, at, place = url.rpartition("@")
    scheme, separator, named = credentials.partition("://")
    if at and not (separator and scheme.isalnum()):
        scheme, separator, named = "", "", credentials
    if at and ":" in named:
        url = f"{scheme}{separator}{HIDDEN}@{place}"
    return redact(url)
