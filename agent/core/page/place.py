"""Where a page listens, as the configuration says it: `127.0.0.1:8480`, `[::1]:8480`, `0.0.0.0:8480`."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from agent.wire.errors import ConfigError

PORT_MAX: Final = 65_535
LOCALHOST: Final = "localhost"


@dataclass(frozen=True, slots=True)
class Place:
    host: str
    port: int
    """0: one that is free."""
    proxy: str = ""
    """Who stands in front of it and is believed whom he brings: addresses or networks, with commas."""

    @property
    def loopback(self) -> bool:
        """Whether nobody but this very host can reach it."""
        return is_loopback(self.host) and not self.proxy

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


def parse(listen: str, proxy: str = "") -> Place:
    """
    Raises:
        ConfigError: it is no address with a port, or the proxy no address.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdecimal():
        raise ConfigError(f"{listen!r} is no address with a port: write one such as 127.0.0.1:8480")
    if int(port) > PORT_MAX:
        raise ConfigError(f"{listen!r} names port {port}: the highest there is is {PORT_MAX}")
    for address in filter(None, proxy.split(",")):
        _check_proxy(address.strip())
    return Place(_unbracketed(listen, host), int(port), proxy)


def _unbracketed(listen: str, host: str) -> str:
    bare = host.removeprefix("[").removesuffix("]")
    if host == bare and ":" not in host:
        return host
    if "%" in bare:
        raise ConfigError(
            f"{listen!r} names a zone, and no browser opens such an address: listen on another one of this "
            "host, or on all of them as [::]"
        )
    try:
        IPv6Address(bare)
    except ValueError:
        raise ConfigError(f"{listen!r} is no address with a port: {bare!r} is no IPv6 address") from None
    if host != f"[{bare}]":
        raise ConfigError(
            f"{listen!r} has an IPv6 address without its brackets: write one such as [::1]:8480"
        )
    return bare


def _check_proxy(address: str) -> None:
    try:
        ip_network(address)
    except ValueError:
        raise ConfigError(
            f"proxy {address!r} is no address: write the proxy's as this host sees it, such as 127.0.0.1"
        ) from None


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
