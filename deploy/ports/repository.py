"""The operator's signed repository: keys, metadata, releases and plans."""

from dataclasses import dataclass
from typing import Protocol

from agent.wire.documents import Manifest, Plan, ReleaseRef
from agent.wire.errors import PortError
from agent.wire.topics import Digest
from deploy.core.fence import Found
from deploy.core.noted import Head


class ClockBehind(PortError):
    """Nothing is signed before the last signature; a time server may set the clock right at any moment."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """One file of TUF metadata under the name of its topic: `timestamp`, `3.root`, `7.models`, ..."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """One small signed file: a manifest or a plan."""

    digest: Digest
    content: bytes


@dataclass(frozen=True, slots=True)
class Publication:
    """What must stand on the broker, in the order in which it must get there and be read back:
    targets, versioned metadata, the timestamp, and the index last.
    """

    targets: tuple[Target, ...]
    metadata: tuple[Metadata, ...]
    timestamp: bytes
    index: bytes


class Repository(Protocol):
    def root(self) -> bytes:
        """The newest root metadata: what a device is given as its pinned root of trust."""
        ...

    def releases(self) -> tuple[ReleaseRef, ...]: ...

    def manifest(self, name: str, version: str) -> Manifest | None: ...

    def plan(self, stream: str) -> Plan | None: ...

    def add_release(self, manifest: Manifest) -> ReleaseRef:
        """Sign the manifest with the offline release key; a release is immutable.

        Raises:
            ConfigError: the version exists with other content, or the key is not at hand.
        """
        ...

    def set_plan(self, plan: Plan, noted: Head | None = None) -> None:
        """Sign the plan with the online rollouts key; its serial must grow.

        Args:
            plan: of one stream.
            noted: what the timestamp is to say of the ledger; None: what the last one says.

        Raises:
            ConfigError: the serial does not grow, or the key is not at hand.
            ClockBehind: as of `sign_timestamp`.
        """
        ...

    def sign_timestamp(self, noted: Head | None = None) -> None:
        """A fresh timestamp (and snapshot, if it is close to its expiry), so that devices go on trusting;
        `noted` is as in `set_plan`.

        Raises:
            ClockBehind: something was signed at a later time than this clock shows.
        """
        ...

    def sign_command(self, payload: bytes) -> bytes:
        """The envelope of a command, signed with the online rollouts key.

        Raises:
            ConfigError: the key is not at hand.
        """
        ...

    def publication(self) -> Publication: ...

    def root_version(self) -> int: ...

    def timestamp_version(self) -> int: ...

    def found(self, timestamp: bytes | None, newer_root: bytes | None) -> Found:
        """What a broker holds, as `fence` compares it: the timestamp, and the root after ours."""
        ...
