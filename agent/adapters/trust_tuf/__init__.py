"""What the operator signed, by python-tuf's client over retained topics.

    index (a hint) -> N+1.root ... -> timestamp -> snapshot -> targets -> rollouts | models -> target/<sha256>

TUF verifies, this module carries. Where MQTT or a small device differs from what TUF's client expects:

- MQTT has no "not found". Whether a newer root exists is read from the unsigned `index`; where that is
  garbage, or a signature fails that a newer root could mend, the root is waited for instead. Every other
  topic that does not come in time is `Unavailable`. Somebody who lies in the index can only delay.
- A message arrives whole, so its length is bounded before TUF sees it, by role, and by what was signed.
- Expiry is judged by `agent.core.update.freshness`, not by the system clock alone.
- TUF's client replaces files without fsync and tolerates damaged ones: they are fetched again from the
  pinned root onwards, which is the only trust anchor there is. What changed is fsynced after a refresh.
- A plan counts only from the role `rollouts` and a manifest only from `models`, each delegated by
  `targets` itself, whoever else may sign a target of that name.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from tuf.api.exceptions import (
    DownloadError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.metadata import Root as RootMetadata
from tuf.ngclient import Updater, UpdaterConfig

from agent.adapters import whole_file
from agent.adapters.trust_tuf.envelopes import Delegator
from agent.adapters.trust_tuf.retained import BASE, MAX_TARGETS_BYTES, Fetcher, Reader
from agent.adapters.trust_tuf.retained import MAX_BYTES as METADATA_MAX_BYTES
from agent.core.update import freshness
from agent.ports.clock import Clock
from agent.ports.link import Link
from agent.ports.trust import Signed
from agent.wire import topics
from agent.wire.codec import MAX_BYTES, decode
from agent.wire.documents import Index, Manifest, Plan, ReleaseRef
from agent.wire.errors import ConfigError, Stale, StoreFailed, TooLarge, Unavailable, Untrusted, WireError

if TYPE_CHECKING:
    from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet

_CONFIG: Final = UpdaterConfig(
    # Counted from the pinned root, over those already on disk too: a device must not get stuck behind
    # its oldest root, and only the holders of the root keys can make it walk further.
    max_root_rotations=256,
    # `targets` and one role that it delegates to: what that role delegates further is never asked.
    max_delegations=1,
    root_max_length=METADATA_MAX_BYTES["root"],
    timestamp_max_length=METADATA_MAX_BYTES["timestamp"],
    snapshot_max_length=METADATA_MAX_BYTES["snapshot"],
    targets_max_length=MAX_TARGETS_BYTES,
)
_ROLES: Final = ("root", "timestamp", "snapshot", "targets", "models", "rollouts")
_TARGETS_KEPT: Final = 32


class TufTrust:
    """Implements `agent.ports.trust.Trust`. Its folder belongs to it alone, and to one process.

    Args:
        link: an open link.
        root: below which the topics stand.
        folder: for verified metadata, targets and the time mark; made where it is missing.
        pinned_root: root metadata that came with the device, not over the network.
        clock: judged by `agent.core.update.freshness`.
        timeout_s: for each topic; a refresh after n changes of the root reads n + 4 of them.

    Raises:
        ConfigError: the pinned root is not one that signs itself.
    """

    def __init__(
        self, link: Link, root: topics.Root, folder: Path, pinned_root: bytes, clock: Clock, timeout_s: float
    ) -> None:
        _require_root(pinned_root)
        self._reader = Reader(link, timeout_s)
        self._root = root
        self._pinned = pinned_root
        self._clock = clock
        self._metadata = folder / "metadata"
        self._targets = folder / "targets"
        self._mark_path = folder / "mark.json"
        self._mark = _load_mark(self._mark_path)
        self._synced: dict[str, int] = {}
        self._updater: Updater | None = None
        self._delegator: Delegator | None = None

    def watch(self, on_news: Callable[[], None]) -> None:
        """Call this, on the link's thread, whenever the index changes, which is published last.

        From then on the index stays subscribed: nobody else may subscribe to it on the same link.
        """
        self._reader.watch(self._root.index(), on_news)

    def close(self) -> None:
        """End a call that waits for the broker on another thread: it raises `LinkDown`."""
        self._reader.close()

    def refresh(self) -> None:
        self._updater = None
        newest = self._newest_root()
        with self._as_ours():
            try:
                self._updater = self._refreshed(newest)
            except UnsignedMetadataError:
                if newest is None:
                    raise
                # The index may be behind a change of keys, or lie.
                self._updater = self._refreshed(None)

    def plan(self, stream: str) -> Plan | None:
        found = self._find(f"rollouts/{stream}.json", "rollouts")
        if found is None:
            return None
        plan = decode(self._content(found, MAX_BYTES[Plan]), Plan)
        if plan.stream != stream:
            raise Untrusted(f"the plan signed as stream {stream!r} says that it is for {plan.stream!r}")
        return plan

    def command(self, envelope: bytes) -> Signed:
        delegator = self._delegator
        if delegator is None:
            raise Unavailable("no metadata has been verified since the agent started")
        payload = delegator.opened(envelope, "rollouts")
        keys = delegator.root.roles[Timestamp.type].keyids
        now = freshness.reference(self._clock.now(), _issued(delegator.root), self._mark, keys)
        stale = f"it expired at {delegator.expires:%Y-%m-%d %H:%M} UTC" if now >= delegator.expires else ""
        return Signed(payload, stale)

    def manifest(self, ref: ReleaseRef) -> tuple[Manifest, bytes]:
        path = f"models/{ref.name}/{ref.version}.json"
        found = self._find(path, "models")
        if found is None:
            raise Untrusted(f"{path} is not signed by the models role")
        if found.hashes.get("sha256") != ref.manifest:
            raise Untrusted(f"{path}: the plan names manifest {ref.manifest}, the models role signed another")
        content = self._content(found, MAX_BYTES[Manifest])
        manifest = decode(content, Manifest)
        if (manifest.name, manifest.version) != (ref.name, ref.version):
            raise Untrusted(f"{path} says that it is {manifest.name} {manifest.version}")
        return manifest, content

    def _newest_root(self) -> int | None:
        """What the index says; None if it is garbage.

        Raises:
            Unavailable: there is none.
        """
        try:
            return decode(self._reader.read(self._root.index(), MAX_BYTES[Index]), Index).root
        except WireError:
            return None

    def _refreshed(self, newest_root: int | None) -> Updater:
        self._sweep()
        fetcher = Fetcher(self._reader, self._root, newest_root)
        updater = Updater(str(self._metadata), BASE, fetcher=fetcher, config=_CONFIG, bootstrap=self._pinned)
        trusted = _trusted(updater)
        self._judge(trusted)
        # TUF asks for a root until there is none: by the last time, the newest one and its keys are known.
        fetcher.before_root = lambda: self._judge(trusted)
        try:
            updater.refresh()
        finally:
            self._learn(trusted)
        self._sync(trusted)
        self._delegator = _delegator(trusted)
        return updater

    def _sweep(self) -> None:
        """Clear away what TUF's client would stumble over: half-written files, things of the wrong kind."""
        self._metadata.mkdir(parents=True, exist_ok=True)
        for path in (*self._metadata.parent.glob("tmp*"), *self._metadata.iterdir()):
            if path.name.startswith("tmp") or path.is_dir() != (path.name == "root_history"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _judge(self, trusted: "TrustedMetadataSet") -> None:
        trusted.reference_time = freshness.reference(
            self._clock.now(), _issued(trusted.root), self._mark, _timestamp_keys(trusted)
        )

    def _learn(self, trusted: "TrustedMetadataSet") -> None:
        timestamp = trusted.get(Timestamp.type)
        if timestamp is None:
            return
        mark = freshness.learn(
            self._mark,
            _issued(timestamp),
            _timestamp_keys(trusted),
            self._clock.now(),
            synchronized=self._clock.synchronized(),
        )
        if mark is not None and mark != self._mark:
            whole_file.replace(self._mark_path, msgspec.json.encode(mark))
            self._mark = mark

    def _sync(self, trusted: "TrustedMetadataSet") -> None:
        """Bring to disk what TUF's client wrote, unless these versions were brought there before: it writes
        the root anew at every refresh, and memory cards wear out.
        """
        versions = {role: signed.version for role in _ROLES if (signed := trusted.get(role)) is not None}
        if versions.items() <= self._synced.items():
            return
        for path in (*self._metadata.rglob("*.json"), self._metadata / "root_history", self._metadata):
            whole_file.sync(path)
        self._synced |= versions

    def _find(self, path: str, role: str) -> TargetFile | None:
        if self._updater is None:
            raise Unavailable("nothing is verified: the last refresh did not succeed, or there was none")
        trusted = _trusted(self._updater)
        with self._as_ours():
            found = self._updater.get_targetinfo(path)
            self._sync(trusted)
        if found is None:
            return None
        holder = trusted.get(role)
        if not isinstance(holder, Targets) or holder.targets.get(path) is not found:
            raise Untrusted(f"{path} is signed by another role than {role}")
        return found

    def _content(self, found: TargetFile, limit: int) -> bytes:
        if found.length > limit:
            raise TooLarge(f"{found.path} is {found.length} bytes, at most {limit} are accepted")
        named = topics.digest(found.hashes.get("sha256", ""))
        path = self._targets / named
        with suppress(OSError, LengthOrHashMismatchError):
            cached = path.read_bytes()
            found.verify_length_and_hashes(cached)
            return cached
        content = self._reader.read(self._root.target(named), found.length)
        with self._as_ours():
            found.verify_length_and_hashes(content)
            whole_file.replace(path, content)
            self._prune()
        return content

    def _prune(self) -> None:
        by_age = sorted(self._targets.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for old in by_age[_TARGETS_KEPT:]:
            old.unlink()

    @contextmanager
    def _as_ours(self) -> Iterator[None]:
        """The errors of TUF's client as the port's."""
        try:
            yield
        except ExpiredMetadataError as error:
            clock = "" if self._clock.synchronized() else ", which follows no time source"
            raise Stale(
                f"{error}, by a clock at {self._clock.now():%Y-%m-%d %H:%M} UTC{clock}: "
                "let the operator sign a fresh timestamp, or mend the clock"
            ) from error
        except RepositoryError as error:
            raise Untrusted(
                f"{error}: the broker serves metadata that is damaged, forged, or older than what this "
                "device has seen; publish the repository again"
            ) from error
        except DownloadError as error:
            raise Unavailable(str(error)) from error
        except OSError as error:
            raise StoreFailed(f"{self._metadata.parent}: {error}") from error


def _trusted(updater: Updater) -> "TrustedMetadataSet":
    """The client's verified roles, and the instant it judges expiry by, which only its clock can set.

    The one private name of python-tuf that is used: `tuf==7.*` is pinned for it.
    """
    return updater._trusted_set  # noqa: SLF001 - there is no public way to inject the reference time


def _delegator(trusted: "TrustedMetadataSet") -> Delegator | None:
    match [trusted.get(each.type) for each in (Timestamp, Snapshot, Targets)]:
        case [Timestamp() as timestamp, Snapshot() as snapshot, Targets() as targets]:
            return Delegator.of(trusted.root, timestamp, snapshot, targets)
        case _:
            return None


def _issued(signed: RootMetadata | Timestamp) -> datetime | None:
    return freshness.issued_in(signed.unrecognized_fields)


def _timestamp_keys(trusted: "TrustedMetadataSet") -> list[str]:
    return trusted.root.roles[Timestamp.type].keyids


def _require_root(content: bytes) -> None:
    try:
        metadata = Metadata[RootMetadata].from_bytes(content)
        RootMetadata.verify_delegate(metadata.signed, "root", metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, AttributeError) as error:
        raise ConfigError(
            f"the pinned root is no valid TUF root ({error}): give the device the operator's root"
        ) from error


def _load_mark(path: Path) -> freshness.Mark | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=freshness.Mark)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
