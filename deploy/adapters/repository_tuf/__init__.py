"""The operator's repository: TUF metadata, two folders of keys, and what they may sign.

    root (2 of 3 offline)  names the keys of  targets, snapshot, timestamp
    targets (offline)      delegates          models/*/*  to models   (the offline release key)
                                              rollouts/*  to rollouts (online)
    snapshot, timestamp (online)

Offline keys say what a model is; the online rollouts key can only choose among those. A stolen online key is
cured by replacing it (`rotate`), which only offline keys can do.

How long signatures live, and why:

- root: 10 years. It needs two people with offline keys, and a fleet must not stand still because they
  could not meet.
- targets, models: 1 year. They are signed by hand, and `renew` once a year is bearable.
- rollouts, snapshot: 30 days, signed anew when half of that is over, whenever a timestamp is signed.
  They live longer than the timestamp, so that the timestamp alone says whether somebody is still there.
- timestamp: 7 days, to be signed every day. Whoever replays an old state can hold a device back
  for a week at most, and the machine that signs may be away for six days before updates stop.
"""

from collections.abc import Set as AbstractSet
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import TargetFile

from agent.core.update import freshness
from agent.ports.clock import Clock
from agent.wire.codec import MAX_BYTES, decode, encode
from agent.wire.commands import PAYLOAD_TYPE
from agent.wire.documents import Index, Manifest, Plan, ReleaseRef
from agent.wire.errors import ConfigError
from agent.wire.topics import Digest
from deploy.adapters.repository_tuf import state as states
from deploy.adapters.repository_tuf.keys import KeyFolders, Role
from deploy.adapters.repository_tuf.shelf import LOCK_WAIT_S, Shelf
from deploy.adapters.repository_tuf.state import DELEGATED, LIFE, LISTED, Fresh, Pen, State
from deploy.core.fence import Found
from deploy.core.noted import LEDGER, Head, head_in, ledger_field
from deploy.ports.repository import ClockBehind, Metadata, Publication, Target

_ROOT_KEYS: Final = 3


class TufRepository:
    """Implements `deploy.ports.repository.Repository`.

    Every operation reads the files anew, and those that write hold a lock: a server that signs timestamps
    and a person who releases may work on one folder.
    """

    def __init__(self, shelf: Shelf, keys: KeyFolders, clock: Clock) -> None:
        self._shelf = shelf
        self._keys = keys
        self._clock = clock

    @classmethod
    def create(cls, folder: Path, offline_keys: Path, online_keys: Path, clock: Clock) -> "TufRepository":
        """A new repository without releases, and its keys.

        Raises:
            ConfigError: there is one already.
        """
        repository = cls(Shelf(folder), KeyFolders(offline_keys, online_keys), clock)
        with repository._shelf.locked():
            if repository._shelf.exists():
                raise ConfigError(f"{folder} holds a repository already: choose another folder, or open it")
            fresh = {role: _generate(role) for role in Role}
            repository._commit(states.blank(fresh), frozenset(Role), fresh=fresh)
        return repository

    @classmethod
    def open(
        cls,
        folder: Path,
        offline_keys: Path,
        online_keys: Path,
        clock: Clock,
        lock_wait_s: float = LOCK_WAIT_S,
    ) -> "TufRepository":
        """The repository in a folder. The keys need not be there before something has to be signed.

        Raises:
            ConfigError: there is none, or its files are damaged or not signed by its own keys.
        """
        repository = cls(Shelf(folder, lock_wait_s), KeyFolders(offline_keys, online_keys), clock)
        states.load(repository._shelf)
        return repository

    def root(self) -> bytes:
        return self._shelf.metadata(f"{self._shelf.index().root}.root")

    def releases(self) -> tuple[ReleaseRef, ...]:
        models = states.load(self._shelf).models.signed
        return tuple(_ref(path, target) for path, target in sorted(models.targets.items()))

    def manifest(self, name: str, version: str) -> Manifest | None:
        target = states.load(self._shelf).models.signed.targets.get(_model_path(name, version))
        return None if target is None else decode(self._content(target), Manifest)

    def plan(self, stream: str) -> Plan | None:
        target = states.load(self._shelf).rollouts.signed.targets.get(_plan_path(stream))
        return None if target is None else decode(self._content(target), Plan)

    def expires(self) -> dict[Role, datetime]:
        """When each role runs out: what offline keys sign is nobody's daily business."""
        state = states.load(self._shelf)
        return {role: state.of(role).signed.expires for role in Role}

    def add_release(self, manifest: Manifest) -> ReleaseRef:
        with self._shelf.locked():
            state = states.load(self._shelf)
            path = _model_path(manifest.name, manifest.version)
            target, content = _target(path, manifest)
            known = state.models.signed.targets.get(path)
            if known is None:
                state.models.signed.targets[path] = target
                self._commit(state, {Role.MODELS}, content=content)
            elif known.hashes != target.hashes:
                raise ConfigError(
                    f"{manifest.name} {manifest.version} is released with other content, and a release is "
                    "immutable: give this one a new version"
                )
        return _ref(path, target)

    def set_plan(self, plan: Plan, noted: Head | None = None) -> None:
        with self._shelf.locked():
            state = states.load(self._shelf)
            path = _plan_path(plan.stream)
            target, content = _target(path, plan)
            self._require_newer(plan, state.rollouts.signed.targets.get(path))
            for ref in (plan.stable, plan.candidate):
                _require_released(ref, state)
            state.rollouts.signed.targets[path] = target
            _note(state, noted)
            self._commit(state, {Role.ROLLOUTS}, content=content)

    def sign_timestamp(self, noted: Head | None = None) -> None:
        with self._shelf.locked():
            state = states.load(self._shelf)
            _note(state, noted)
            now = self._clock.now()
            online = (Role.ROLLOUTS, Role.SNAPSHOT)
            self._commit(state, {r for r in online if state.of(r).signed.expires - now < LIFE[r] / 2})

    def sign_command(self, payload: bytes) -> bytes:
        named = states.load(self._shelf).delegator(Role.ROLLOUTS).get_delegated_role(Role.ROLLOUTS)
        envelope = Envelope(payload, PAYLOAD_TYPE, {})
        for signer in self._keys.signers(Role.ROLLOUTS, named.keyids, named.threshold, {}):
            envelope.sign(signer)
        return msgspec.json.encode(envelope.to_dict())

    def renew(self) -> None:
        """Sign anew what offline keys sign, well before it runs out."""
        with self._shelf.locked():
            self._commit(states.load(self._shelf), {Role.ROOT, Role.TARGETS, Role.MODELS})

    def rotate(self, role: Role) -> None:
        """Replace the keys of a role, all three of the root's. Devices follow by themselves.

        This ends what a stolen key can do. If the thief has also run up version numbers or the time, replace
        both the timestamp's and the snapshot's keys: devices forget what these had vouched for. With the
        timestamp's, what was noted of the ledger is forgotten too.
        """
        fresh = {role: _generate(role)}
        with self._shelf.locked():
            state = states.load(self._shelf)
            states.replace_keys(state, role, fresh[role])
            if role is Role.TIMESTAMP:
                state.timestamp.signed.unrecognized_fields.pop(LEDGER, None)
            delegator = Role.TARGETS if role in DELEGATED else Role.ROOT
            self._commit(state, {delegator, role}, fresh=fresh)

    def publication(self) -> Publication:
        index = self._shelf.index()
        state = states.load(self._shelf)
        targets = [*state.models.signed.targets.values(), *state.rollouts.signed.targets.values()]
        names = [f"{version}.root" for version in range(1, index.root + 1)]
        names += [f"{state.of(role).signed.version}.{role}" for role in (*LISTED, Role.SNAPSHOT)]
        return Publication(
            targets=tuple(Target(_digest(target), self._content(target)) for target in targets),
            metadata=tuple(Metadata(name, self._shelf.metadata(name)) for name in names),
            timestamp=self._shelf.metadata(f"{index.timestamp}.timestamp"),
            index=encode(index),
        )

    def root_version(self) -> int:
        return self._shelf.index().root

    def timestamp_version(self) -> int:
        return self._shelf.index().timestamp

    def signed_at(self) -> datetime | None:
        """When the newest timestamp was signed."""
        return states.load(self._shelf).issued()

    def noted(self) -> Head | None:
        """What the newest timestamp says of the ledger."""
        return head_in(states.load(self._shelf).timestamp.signed.unrecognized_fields)

    def found(self, timestamp: bytes | None, newer_root: bytes | None) -> Found:
        state = states.load(self._shelf)
        root = state.root.signed
        succeeds = newer_root is not None and states.version(root, Role.ROOT, newer_root) == root.version + 1
        signed = None if timestamp is None else states.version(root, Role.TIMESTAMP, timestamp)
        if timestamp is None or signed is None:
            return Found(newer_root=succeeds)
        ours = (
            self._shelf.metadata(f"{signed}.timestamp") if signed <= state.timestamp.signed.version else None
        )
        return Found(signed, ours, timestamp, newer_root=succeeds)

    def _commit(
        self,
        state: State,
        changed: AbstractSet[Role],
        *,
        fresh: Fresh | None = None,
        content: bytes | None = None,
    ) -> None:
        fresh = fresh or {}
        now = self._clock.now()
        if Role.TIMESTAMP not in fresh:
            _require_forward(state, now)
        written = Pen(self._keys, fresh, now).sign(state, changed)
        for role, signers in fresh.items():
            for signer in signers:
                self._keys.save(role, signer)
        if content is not None:
            self._shelf.put_target(content)
        index = Index(root=state.root.signed.version, timestamp=state.timestamp.signed.version)
        self._shelf.commit(written, index)

    def _content(self, target: TargetFile) -> bytes:
        return self._shelf.target(_digest(target))

    def _require_newer(self, plan: Plan, known: TargetFile | None) -> None:
        if known is None:
            return
        serial = decode(self._content(known), Plan).serial
        if plan.serial <= serial:
            raise ConfigError(
                f"plan {plan.stream} has serial {plan.serial}, the signed one has {serial}: "
                f"devices take only what is newer, so make it {serial + 1}"
            )


def _note(state: State, noted: Head | None) -> None:
    if noted is not None:
        state.timestamp.signed.unrecognized_fields.update(ledger_field(noted))


def _require_released(ref: ReleaseRef | None, state: State) -> None:
    if ref is None:
        return
    signed = state.models.signed.targets.get(_model_path(ref.name, ref.version))
    if signed is None or _digest(signed) != ref.manifest:
        raise ConfigError(
            f"the plan names {ref.name} {ref.version} with manifest {ref.manifest}, which is not released: "
            "release it first"
        )


def _require_forward(state: State, now: datetime) -> None:
    """Refuse to sign before the last signature: one of the two clocks was wrong, and devices keep the time
    of the newest signature as a lower bound.

    Raises:
        ClockBehind: it is this one, as far as this machine can tell.
    """
    last = state.issued()
    if freshness.ahead(last, now):
        raise ClockBehind(
            f"the last timestamp was signed at {last:%Y-%m-%d %H:%M} UTC and this clock shows "
            f"{now:%Y-%m-%d %H:%M}: set this clock, or, if it was the other one that was wrong, replace the "
            "timestamp key"
        )


def _generate(role: Role) -> list[CryptoSigner]:
    return [CryptoSigner.generate_ed25519() for _ in range(_ROOT_KEYS if role is Role.ROOT else 1)]


def _model_path(name: str, version: str) -> str:
    return f"models/{name}/{version}.json"


def _plan_path(stream: str) -> str:
    return f"rollouts/{stream}.json"


def _target(path: str, document: Manifest | Plan) -> tuple[TargetFile, bytes]:
    content = encode(document)
    limit = MAX_BYTES[type(document)]
    if len(content) > limit:
        raise ConfigError(f"{path} would be {len(content)} bytes, devices accept at most {limit}: shorten it")
    return TargetFile.from_data(path, content, ["sha256"]), content


def _ref(path: str, target: TargetFile) -> ReleaseRef:
    _, name, file = path.split("/")
    return ReleaseRef(name=name, version=file.removesuffix(".json"), manifest=_digest(target))


def _digest(target: TargetFile) -> Digest:
    return Digest(target.hashes["sha256"])
