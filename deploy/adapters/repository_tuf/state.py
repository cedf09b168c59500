"""One state of the metadata: read and verified, changed in place, signed again."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)

from agent.core.update import freshness
from agent.wire.errors import ConfigError
from deploy.adapters.repository_tuf.keys import KeyFolders, Role
from deploy.adapters.repository_tuf.shelf import Shelf

S = TypeVar("S", Root, Targets, Snapshot, Timestamp)
AnyMetadata = Metadata[Root] | Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp]
Fresh = Mapping[Role, Sequence[CryptoSigner]]
"""Signers whose keys are new, by the role that they are for."""

LIFE: Final = {
    Role.ROOT: timedelta(days=3650),
    Role.TARGETS: timedelta(days=365),
    Role.MODELS: timedelta(days=365),
    Role.ROLLOUTS: timedelta(days=30),
    Role.SNAPSHOT: timedelta(days=30),
    Role.TIMESTAMP: timedelta(days=7),
}
DELEGATED: Final = {Role.MODELS: "models/*/*", Role.ROLLOUTS: "rollouts/*"}
LISTED: Final = (Role.MODELS, Role.ROLLOUTS, Role.TARGETS)
"""What a snapshot lists, in the order in which it must reach the broker."""
ROOT_THRESHOLD: Final = 2


@dataclass(frozen=True, slots=True)
class State:
    root: Metadata[Root]
    targets: Metadata[Targets]
    models: Metadata[Targets]
    rollouts: Metadata[Targets]
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]
    voters: tuple[str, ...]
    """The root keys of the root that was read: the next one needs their votes, besides its own."""

    def of(self, role: Role) -> AnyMetadata:
        metadata: AnyMetadata = getattr(self, role)
        return metadata

    def delegator(self, role: Role) -> Root | Targets:
        return self.targets.signed if role in DELEGATED else self.root.signed

    def issued(self) -> datetime | None:
        return freshness.issued_in(self.timestamp.signed.unrecognized_fields)


def blank(fresh: Fresh) -> State:
    """What a new repository starts from: version 0 of everything, which `sign` makes 1."""
    root = Root(consistent_snapshot=True)
    for role in (Role.ROOT, Role.TARGETS, Role.SNAPSHOT, Role.TIMESTAMP):
        for signer in fresh[role]:
            root.add_key(signer.public_key, role)
    root.roles[Role.ROOT].threshold = ROOT_THRESHOLD
    delegations = Delegations(
        {},
        {
            role: DelegatedRole(role, [], 1, terminating=True, paths=[path])
            for role, path in DELEGATED.items()
        },
    )
    targets = Targets(delegations=delegations)
    for role in DELEGATED:
        for signer in fresh[role]:
            targets.add_key(signer.public_key, role)
    state = State(
        root=Metadata(root),
        targets=Metadata(targets),
        models=Metadata(Targets()),
        rollouts=Metadata(Targets()),
        snapshot=Metadata(Snapshot()),
        timestamp=Metadata(Timestamp()),
        voters=(),
    )
    for role in Role:
        state.of(role).signed.version = 0
    return state


def load(shelf: Shelf) -> State:
    """The state that the index names.

    Raises:
        ConfigError: files are missing or damaged, or not signed by the keys that the root names: whoever
            can write to the folder must not get something signed along with the next release.
    """
    index = shelf.index()
    try:
        root = _read(shelf, Role.ROOT, index.root, Root)
        timestamp = _read(shelf, Role.TIMESTAMP, index.timestamp, Timestamp)
        snapshot = _read(shelf, Role.SNAPSHOT, timestamp.signed.snapshot_meta.version, Snapshot)
        listed = snapshot.signed.meta
        models, rollouts, targets = (
            _read(shelf, role, listed[f"{role}.json"].version, Targets) for role in LISTED
        )
        voters = tuple(root.signed.roles[Role.ROOT].keyids)
        state = State(root, targets, models, rollouts, snapshot, timestamp, voters)
        for role in Role:
            metadata = state.of(role)
            state.delegator(role).verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, KeyError) as error:
        raise ConfigError(
            f"{shelf.folder} is damaged or was tampered with ({error}): restore it from a copy"
        ) from error
    return state


def _read(shelf: Shelf, role: Role, version: int, kind: type[S]) -> Metadata[S]:
    metadata: Metadata[S] = Metadata.from_bytes(shelf.metadata(f"{version}.{role}"))
    if not isinstance(metadata.signed, kind) or metadata.signed.version != version:
        raise RepositoryError(f"{version}.{role}.json holds something else")
    return metadata


def version(root: Root, role: Role, content: bytes) -> int | None:
    """Of metadata for this role that keys of this root have signed; None where it is none."""
    try:
        found: AnyMetadata = Metadata.from_bytes(content)
        root.verify_delegate(role, found.signed_bytes, found.signatures)
    except RepositoryError:
        return None
    number: int = found.signed.version
    return number if found.signed.type == role else None


def replace_keys(state: State, role: Role, signers: Sequence[CryptoSigner]) -> None:
    delegator = state.delegator(role)
    for keyid in tuple(delegator.get_delegated_role(role).keyids):
        delegator.revoke_key(keyid, role)
    for signer in signers:
        delegator.add_key(signer.public_key, role)


class Pen:
    """Signs a state in the order in which its parts name each other.

    Args:
        keys: where the private keys are.
        fresh: those that are not there yet.
        now: the instant of signing.
    """

    def __init__(self, keys: KeyFolders, fresh: Fresh, now: datetime) -> None:
        self._keys = keys
        self._fresh = {s.public_key.keyid: s for signers in fresh.values() for s in signers}
        self._now = now.replace(microsecond=0)
        self._written: dict[str, bytes] = {}

    def sign(self, state: State, changed: AbstractSet[Role]) -> dict[str, bytes]:
        """New versions of the roles that changed, and of those that name them.

        Returns:
            The metadata to write by name, in the order in which to write it.

        Raises:
            ConfigError: a key is not at hand; nothing was written.
        """
        if Role.ROOT in changed:
            self._stamp(state.root.signed)
            self._write(state, Role.ROOT)
        for role in LISTED:
            if role in changed:
                content = self._write(state, role)
                version = state.of(role).signed.version
                state.snapshot.signed.meta[f"{role}.json"] = MetaFile.from_data(version, content, ["sha256"])
        if changed & {*LISTED, Role.SNAPSHOT}:
            content = self._write(state, Role.SNAPSHOT)
            version = state.snapshot.signed.version
            state.timestamp.signed.snapshot_meta = MetaFile.from_data(version, content, ["sha256"])
        self._stamp(state.timestamp.signed)
        self._write(state, Role.TIMESTAMP)
        return self._written

    def _stamp(self, signed: Signed) -> None:
        signed.unrecognized_fields.update(freshness.issued_field(self._now))

    def _write(self, state: State, role: Role) -> bytes:
        metadata = state.of(role)
        metadata.signed.version += 1
        metadata.signed.expires = self._now + LIFE[role]
        metadata.signatures.clear()
        for signer in self._signers(state, role):
            metadata.sign(signer, append=True)
        content = metadata.to_bytes()
        self._written[f"{metadata.signed.version}.{role}"] = content
        return content

    def _signers(self, state: State, role: Role) -> list[CryptoSigner]:
        named = state.delegator(role).get_delegated_role(role)
        signers = self._keys.signers(role, named.keyids, named.threshold, self._fresh)
        if role is Role.ROOT and state.voters:
            signers += self._keys.signers(role, state.voters, ROOT_THRESHOLD, self._fresh)
        return signers
