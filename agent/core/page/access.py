"""Who is at a page, for how long, and how fast one may guess."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

IDLE_S: Final = 12 * 3600.0
"""A session that nobody uses for so long is over."""
LASTS_S: Final = 7 * 86_400.0
SESSIONS_MAX: Final = 256

FREE_TRIES: Final = 5
WAIT_MAX_S: Final = 60.0
FORGOTTEN_S: Final = 900.0
TRIERS_MAX: Final = 1024


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"

    def covers(self, needed: "Role") -> bool:
        """Each may do what those before it may."""
        order = tuple(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    """Empty where nobody has to say who he is."""
    role: Role
    proof: str = ""
    """What his sessions hang on: with another password they are over."""


@dataclass(frozen=True, slots=True)
class _Session:
    person: Person
    began_s: float
    used_s: float

    def over(self, now_s: float) -> bool:
        return now_s - self.used_s > IDLE_S or now_s - self.began_s > LASTS_S


class Sessions:
    """By the digest of what the browser holds, so that a glance at memory or a log opens nothing."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def begin(self, key: str, person: Person, now_s: float) -> None:
        self._sessions[key] = _Session(person, now_s, now_s)
        while len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)

    def use(self, key: str, now_s: float) -> Person | None:
        session = self._sessions.get(key)
        if session is None:
            return None
        if session.over(now_s):
            del self._sessions[key]
            return None
        self._sessions[key] = replace(session, used_s=now_s)
        self._sessions.move_to_end(key)
        return session.person

    def end(self, key: str) -> None:
        self._sessions.pop(key, None)


@dataclass(frozen=True, slots=True)
class _Trier:
    wrong: int
    last_s: float

    def waits_s(self, now_s: float) -> float:
        """Nothing after the first few; then 1 s, 2 s, 4 s, ... after each."""
        if self.wrong < FREE_TRIES:
            return 0.0
        pause_s = min(WAIT_MAX_S, 2.0 ** min(self.wrong - FREE_TRIES, 16))
        return max(0.0, self.last_s + pause_s - now_s)


class Tries:
    """Wrong tries by the network that they come from."""

    def __init__(self) -> None:
        self._triers: OrderedDict[str, _Trier] = OrderedDict()

    def begin(self, address: str, now_s: float) -> float:
        """Seconds that this one has yet to wait, or 0: then the try counts as wrong until `passed`.

        It is counted before it is examined, so that many at once are no way around.
        """
        key = network(address)
        trier = self._triers.get(key, _Trier(0, now_s))
        if now_s - trier.last_s > FORGOTTEN_S:
            trier = _Trier(0, now_s)
        wait_s = trier.waits_s(now_s)
        if wait_s == 0.0:
            self._triers[key] = _Trier(trier.wrong + 1, now_s)
            self._triers.move_to_end(key)
            if len(self._triers) > TRIERS_MAX:
                self._triers.popitem(last=False)
        return wait_s

    def passed(self, address: str) -> None:
        self._triers.pop(network(address), None)


def network(address: str) -> str:
    """Who has one IPv6 address has 2^64 of them."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or ip_network((int(parsed), 64), strict=False))
