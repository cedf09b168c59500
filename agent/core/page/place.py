"""Where a page listens, as the configuration says it: `127.0.0.1:8480`, `[::1]:8480`, `0.0.0.0:8480`."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from agent.wire.errors import ConfigError

PORT_MAX: Final = 65_535
LOCALHOST: Final = "localhost"


@dataclass(frozen=True, slots=True)
class Place:
    host: str
    port: int
    """0: one that is free."""

    @property
    def loopback(self) -> bool:
        """Whether nobody but this very host can reach it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


def parse(listen: str) -> Place:
    """
    Raises:
        ConfigError: it is no address with a port.
    """
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdecimal():
        raise ConfigError(f"{listen!r} is no address with a port: write one such as 127.0.0.1:8480")
    if int(port) > PORT_MAX:
        raise ConfigError(f"{listen!r} names port {port}: the highest there is is {PORT_MAX}")
    return Place(host, int(port))


def is_loopback(host: str) -> bool:
    """By its look alone: a name other than `localhost` may come to stand for anything."""
    if host.lower() == LOCALHOST:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def own_name(host_header: str) -> bool:
    """Whether a browser that asks for this host can only mean the machine that it runs on.

    A page from elsewhere can have its own name point at 127.0.0.1 (DNS rebinding), and would then be of the
    same origin as ours; that name stands in its `Host` header.
    """
    return is_loopback(_without_port(host_header))


def _without_port(host_header: str) -> str:
    if host_header.startswith("["):
        return host_header[1:].partition("]")[0]
    return host_header.partition(":")[0]


def bracketed(host: str) -> str:
    """As it stands in an address."""
    return f"[{host}]" if ":" in host else host
