"""What the operator signed, verified."""

from typing import Protocol

from agent.wire.documents import Manifest, Plan, ReleaseRef


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

    def manifest(self, ref: ReleaseRef) -> tuple[Manifest, bytes]:
        """The signed manifest that a plan names, and its bytes. Call `refresh` first.

        Raises:
            WireError: as `plan`; Untrusted too where no models role signed that very digest.
            PortError: as `refresh`.
        """
        ...
