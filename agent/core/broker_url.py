"""Where a broker is, as people write it: `mqtt://[user@]host[:port]`, or `mqtts://` for TLS.

Several brokers that bear the same fleet are written with commas between them.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from agent.core.page.place import bracketed
from agent.core.redaction import shown_url
from agent.wire.errors import ConfigError

PORT: Final = 1883
PORT_TLS: Final = 8883
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_-]{1,63})*\.?")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9_.-]{1,15})?")
_BETWEEN = re.compile(r"\s*,\s*(?=mqtts?://)")
"""A comma in a password separates nothing: what followed it would be printed as an address."""


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    host: str
    port: int
    tls: bool
    username: str | None = None

    @property
    def place(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


def parse_urls(text: str) -> tuple[BrokerUrl, ...]:
    """The brokers that the text names, each once, in its order; at least one.

    Raises:
        ConfigError: one of them is no such URL, or they differ in more than host and port.
    """
    urls = tuple(dict.fromkeys(parse_url(part) for part in _BETWEEN.split(text.strip())))
    if len({url.tls for url in urls}) > 1:
        raise ConfigError(
            "some of the brokers are encrypted and some are not, and the password would go to all: "
            "write mqtts:// for all of them"
        )
    if len({url.username for url in urls}) > 1:
        raise ConfigError("the brokers' URLs name different users: give the same one in all, or username")
    return urls


def parse_url(text: str) -> BrokerUrl:
    """The broker that the text names.

    Raises:
        ConfigError: it is not such a URL, or holds a password, which belongs into a file.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        # What the parser takes for the port may be the end of a password.
        raise ConfigError(
            f"broker {shown_url(text)!r}: {_fault(text, error)}; write mqtt://host:port or mqtts://host:port"
        ) from None
    _check(shown_url(text), parts)
    tls = parts.scheme == "mqtts"
    return BrokerUrl(
        host=_host(shown_url(text), parts),
        port=(PORT_TLS if tls else PORT) if port is None else port,
        tls=tls,
        username=unquote(parts.username) if parts.username else None,
    )


def _fault(text: str, error: ValueError) -> str:
    return "what follows its host is no port" if "@" in text else str(error)


def _check(text: str, parts: SplitResult) -> None:
    if parts.password is not None:
        raise ConfigError("the broker's URL holds a password: keep it in a file and name that file instead")
    if parts.scheme not in {"mqtt", "mqtts"}:
        raise ConfigError(f"broker {text!r}: begin with mqtt://, or with mqtts:// for TLS")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError(f"broker {text!r}: nothing may follow host and port")
    if parts.port == 0:
        raise ConfigError(f"broker {text!r}: port 0 is none, use 1 to 65535")


def _host(text: str, parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not (_HOST.fullmatch(host) or (":" in host and _ADDRESS.fullmatch(host))):
        raise ConfigError(f"broker {text!r}: {host!r} is not the name or the address of a host")
    return host
