"""Text that leaves the device must hold no secret."""

import re
from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "***"
SHORTEST: Final = 4
"""A shorter secret would be found in every other word; whoever has one is warned by nobody."""

_USERINFO: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^\s/@]*:[^\s/@]*@")
_NAMED: Final = re.compile(
    r"(?P<name>[\w.-]*(?:password|passwd|passphrase|secret|token|api_?key)[\w.-]*['\"]?\s*[=:]\s*)"
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
    text = _USERINFO.sub(rf"\g<scheme>{HIDDEN}@", text)
    return _NAMED.sub(rf"\g<name>{HIDDEN}", text)
