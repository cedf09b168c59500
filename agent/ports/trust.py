"""What the operator signed, verified."""

from dataclasses import dataclass
from typing import Protocol

from agent.wire.documents import Manifest, Plan, ReleaseRef


@dataclass(frozen=True, slots=True)
class Signed:
    payload: bytes
    """Undecoded."""
    stale: str
    """In words, why nobody is trusted at the moment; empty where the metadata holds."""


class Trust(Protocol):
    """Blocking: call it on a thread of its own, one call at a time."""

    def refresh(self) -> None:
        """Bring root, timestamp, snapshot and targets up to date with what the broker has.

        Raises:
            Stale: something is expired: install nothing.
            Untrusted: signatures or versions do not check out.
            Unavailable: the broker did not deliver.
            LinkDown: there is no connection.
            StoreFailed: the disk refused.
        """
        ...

    def plan(self, stream: str) -> Plan | None:
        """The signed plan of a stream, None if there is none. Call `refresh` first.

        Raises:
            WireError: as `refresh`; Malformed, TooLarge or UnknownSchema for its content.
            PortError: as `refresh`.
        """
        ...

    def command(self, envelope: bytes) -> Signed:
        """The payload of a command's envelope that the holders of the `rollouts` keys signed.

        Who they are says what `refresh` verified last. Nothing is read from the network, and another thread
        may be in the other methods.

        Raises:
            Malformed: this is no envelope of a command.
            TooLarge: nor could it be.
            Untrusted: not enough of the role's keys have signed it.
            Unavailable: nothing was verified since the agent started.
        """
        ...

    def manifest(self, ref: ReleaseRef) -> tuple[Manifest, bytes]:
        """The signed manifest that a plan names, and its bytes. Call `refresh` first.

        Raises:
            WireError: as `plan`; Untrusted too where no models role signed that very digest.
            PortError: as `refresh`.
        """
        ...
