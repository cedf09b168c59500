"""What the service manager is told about this process."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Ready:
    """The service does what it is for, or has said why it does not yet; also: a reload is done."""


@dataclass(frozen=True, slots=True)
class Status:
    """One line for people."""

    text: str


@dataclass(frozen=True, slots=True)
class Alive:
    """Feeds the watchdog."""


@dataclass(frozen=True, slots=True)
class Extend:
    """The start takes longer: wait at least this long from now on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reloading:
    """The configuration is being read again; `Ready` ends it."""

    monotonic_ns: int


@dataclass(frozen=True, slots=True)
class Stopping:
    pass


Word = Ready | Status | Alive | Extend | Reloading | Stopping


class Notify(Protocol):
    watchdog_s: float | None
    """How long the service manager waits for `Alive` before it kills this process; None: it does not."""

    def tell(self, *words: Word) -> None:
        """In one message; never waits, and nothing happens where nobody listens."""
        ...
