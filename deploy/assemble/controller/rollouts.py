"""Rollouts as an operator orders them: looked at, begun, and steered from one desk."""

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from agent.core.update import windows
from agent.wire.documents import Manifest, Plan, ReleaseRef
from agent.wire.errors import ConfigError
from agent.wire.topics import Digest
from deploy.adapters import account, approval_ed25519
from deploy.adapters.workspace import Workspace
from deploy.assemble.controller import serving
from deploy.assemble.desk.controlling import Desk, Make, desk, open_ledger
from deploy.assemble.desk.publishing import OnProgress
from deploy.core.refusal import Refused
from deploy.core.release import versions
from deploy.core.rollouts import approvals, orders, starting, state, steps
from deploy.core.rollouts import preview as previews
from deploy.core.rollouts import standing as standings
from deploy.core.rollouts.approvals import Person
from deploy.core.rollouts.orders import Subject
from deploy.core.rollouts.picture import Picture, Seen, of_stream
from deploy.core.rollouts.preview import Preview
from deploy.core.rollouts.starting import Asked
from deploy.core.rollouts.state import Fleet, Rollout
from deploy.core.rollouts.words import AnyEntry, Line, Order, Policy
from deploy.ports.repository import Repository

SALT_BYTES: Final = 16
SALTS: Final = 16
"""Tried, so that the first wave's devices are online."""

Steer = Callable[[Subject, Person], tuple[AnyEntry, ...]]
Decide = Callable[[Desk, Make], object]
"""`Desk.decide`, or `Desk.write`."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rollout in an operator's words."""

    release: str
    stream: str
    waves: tuple[str, ...]
    match: tuple[str, ...]
    policy: Policy
    name: str = ""
    salt: str = ""
    """Empty: fresh ones are tried."""
    by: str = ""
    """Whose order it is; empty: of whoever runs this program."""
    why: str = ""
    replace: str = ""
    """Why the rollout that is under way must give way; empty: it must not."""


@dataclass(frozen=True, slots=True)
class Named:
    """The rollout that is meant; empty: the newest of the stream."""

    name: str
    stream: str


@dataclass(frozen=True, slots=True)
class Begun:
    rollout: Rollout
    picture: Picture
    """The devices as they were when it was decided."""


Tell = Callable[[Begun, Sequence[Line]], Callable[[Line], None]]
"""Told what has begun, with the ledger up to there; gives who is told each line from then on."""


def read_policy(path: Path) -> Policy:
    """The policy in a TOML file; its windows are written as in a device's configuration.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or holds an unknown key or an impossible value.
    """
    try:
        table = msgspec.toml.decode(path.read_bytes(), type=dict[str, object])
        texts = msgspec.convert(table.pop("windows", []), tuple[str, ...])
        policy = msgspec.convert(table, Policy)
        return msgspec.structs.replace(policy, windows=tuple(windows.parse(text) for text in texts))
    except OSError as error:
        raise ConfigError(f"policy {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"policy {path} is not UTF-8 text: {error.reason}") from error
    except (msgspec.DecodeError, ConfigError) as error:
        raise ConfigError(f"policy {path}: {error}") from error


def person(why: str = "") -> Person:
    """Whoever runs this command."""
    return Person(account.name(), why)


def _by(wanted: Wanted, why: str) -> Person:
    return Person(wanted.by, why) if wanted.by else person(why)


def preview(workspace: Workspace, wanted: Wanted) -> Preview:
    """What `start` would do with the salt that is in it; nothing is written or published.

    Raises:
        Refused: `start` would be.
        PortError: the broker cannot be reached.
        ConfigError: a setting is wrong.
    """
    with desk(workspace) as at:
        return look_ahead(at, wanted)


def look_ahead(at: Desk, wanted: Wanted) -> Preview:
    """As `preview`, at a desk that is open."""
    fleet, picture = at.fleet(), of_stream(at.live().picture(), wanted.stream)
    order, _, free = _prepared(at, wanted, fleet, picture, _asked(at.repository, wanted))
    weigh = _weigh(at.repository, order.release)
    shown = previews.preview(order, picture, _standing(at, free, order.stream), weigh)
    return previews.of_release(shown, _manifest(at.repository, order.release), picture)


def start(workspace: Workspace, wanted: Wanted, on_progress: OnProgress) -> Begun:
    """Write the order and the first wave's plan into the ledger, sign it and publish it behind its files.

    Raises:
        Refused: there is no such release, it may not be rolled out, or the stream is not free.
        PortError: the broker cannot be reached, or does not keep what it acknowledged.
        ConfigError: a setting is wrong, or the online keys are not at hand.
    """
    with desk(workspace, on_progress) as at:
        return begin(at, wanted)


def start_and_stay(workspace: Workspace, wanted: Wanted, on_progress: OnProgress, tell: Tell) -> Rollout:
    """As `start`, and steer until the rollout has ended, or watch a controller do so; the rollout then.

    Raises:
        Refused: as `start`.
        PortError: as `start`; once it has begun, what fails outside is tried again.
        ConfigError: as `start`, or another copy of the workspace steers the fleet.
    """
    with desk(workspace, on_progress) as at:
        begun = begin(at, wanted)
        told = tell(begun, at.ledger.lines())
        serving.stay(workspace, at, begun.rollout.name, told, threading.Event())
        return at.fleet().rollouts[begun.rollout.name]


def begin(at: Desk, wanted: Wanted, decide: Decide = Desk.decide) -> Begun:
    """As `start`, at a desk that is open; `Desk.write` leaves it to a controller to carry it out."""
    asked, begun = _asked(at.repository, wanted), list[Begun]()

    def make(fleet: Fleet, whole: Picture) -> Sequence[AnyEntry]:
        picture = of_stream(whole, wanted.stream)
        order, before, free = _prepared(at, wanted, fleet, picture, asked)
        standing = _standing(at, free, wanted.stream)
        entries = (*before, *starting.start(free, picture, order, standing, _by(wanted, wanted.why)))
        made = starting.after(fleet, entries, picture).rollouts[order.rollout]
        begun[:] = [Begun(made, picture)]
        return entries

    decide(at, make)
    return begun[0]


def steer(workspace: Workspace, named: Named, decide: Steer, why: str, on_progress: OnProgress) -> Rollout:
    """Give one of `core.rollouts.orders`, and carry it out.

    Raises:
        Refused: it cannot be done now.
        PortError: as `start`.
        ConfigError: as `start`.
    """
    with desk(workspace, on_progress) as at:
        name = named.name or orders.newest(at.fleet(), named.stream)
        return order(at, name, decide, person(why), Desk.decide)


def order(at: Desk, name: str, steer: Steer, by: Person, decide: Decide) -> Rollout:
    """As `steer`, at a desk that is open; the rest is as in `begin`."""

    def make(fleet: Fleet, picture: Picture) -> Sequence[AnyEntry]:
        found = fleet.rollouts.get(name)
        signed = at.repository.plan(found.order.stream) if found else None
        seen = of_stream(picture, found.order.stream) if found else picture
        return steer(Subject(fleet, seen, name, signed), by)

    decide(at, make)
    return at.fleet().rollouts[name]


def approve(workspace: Workspace, name: str, wave: str, key: Path, on_progress: OnProgress) -> Rollout:
    """Sign for a wave; whoever steers the rollout lets it begin.

    Raises:
        Refused: there is no such rollout or wave, or the key does not count.
        ConfigError: the key cannot be read.
        PortError: the disk or the broker failed.
    """
    sign, keys = approval_ed25519.signer(key), workspace.settings.approval.keys
    with desk(workspace, on_progress) as at:
        at.decide(lambda fleet, _: approvals.approve(fleet, name, wave, person().by, sign, keys))
        return at.fleet().rollouts[name]


def known(workspace: Workspace, name: str) -> tuple[Rollout, ...]:
    """What the ledger says of this rollout, or of the newest of each stream; the broker is not asked.

    Raises:
        Refused: there is no such rollout.
        StoreFailed: the ledger cannot be read.
    """
    lines, keys = open_ledger(workspace).lines(), workspace.settings.approval.keys
    fleet = state.fold(approvals.genuine(lines, Fleet(), keys, approval_ed25519.verify))
    if not name:
        return tuple({rollout.order.stream: rollout for rollout in fleet.rollouts.values()}.values())
    if name not in fleet.rollouts:
        known = ", ".join(fleet.rollouts) or "none yet, shoal rollout start begins one"
        raise Refused(f"there is no rollout {name!r}: there is {known}")
    return (fleet.rollouts[name],)


def _asked(repository: Repository, wanted: Wanted) -> Asked:
    release = versions.choose(repository.releases(), wanted.release)
    return Asked(
        stream=wanted.stream,
        release=release,
        waves=wanted.waves,
        salts=(wanted.salt,) if wanted.salt else tuple(secrets.token_hex(SALT_BYTES) for _ in range(SALTS)),
        match=wanted.match,
        policy=wanted.policy,
        rollout=wanted.name,
        bytes_each=previews.full_bytes(_manifest(repository, release)),
    )


def _prepared(
    at: Desk, wanted: Wanted, fleet: Fleet, picture: Picture, asked: Asked
) -> tuple[Order, tuple[AnyEntry, ...], Fleet]:
    """The order, what must be written before it to free the stream, and the fleet with that written."""
    approvals.require_keys(wanted.policy, at.workspace.settings.approval.keys)
    before = _freeing(fleet, picture, wanted, _standing(at, fleet, wanted.stream))
    free = starting.after(fleet, before, picture)
    standing = _standing(at, free, wanted.stream)
    order = starting.prepare(free, picture, asked, standing, lambda ref: digests(at.repository, ref))
    return order, before, free


def _freeing(fleet: Fleet, picture: Picture, wanted: Wanted, standing: Plan | None) -> tuple[AnyEntry, ...]:
    """A rollout that is at its last wave is judged now: one that is complete makes way."""
    active = fleet.active(wanted.stream)
    if active is None:
        return ()
    judged = steps.step(fleet, active.name, picture, standing) if active.last_wave else ()
    if wanted.replace and starting.after(fleet, judged, picture).active(wanted.stream) is not None:
        return *judged, *starting.supersede(active, _by(wanted, wanted.replace))
    return judged


def _standing(at: Desk, fleet: Fleet, stream: str) -> Plan | None:
    return standings.newer(standings.plans(fleet).get(stream), at.repository.plan(stream))


def digests(repository: Repository, ref: ReleaseRef) -> frozenset[Digest]:
    """What a revocation of the release names: its manifest and its variants."""
    manifest = _manifest(repository, ref)
    return frozenset({ref.manifest, *(variant.artifact.digest for variant in manifest.variants)})


def _manifest(repository: Repository, ref: ReleaseRef) -> Manifest:
    manifest = repository.manifest(ref.name, ref.version)
    if manifest is None:
        raise Refused(f"the repository has lost the manifest of {ref.name}@{ref.version}")
    return manifest


def _weigh(repository: Repository, ref: ReleaseRef) -> previews.Weigh:
    release = _manifest(repository, ref)
    known = {each.manifest: each for each in repository.releases()}
    read: dict[Digest, Manifest] = {}

    def manifest_of(digest: Digest) -> Manifest | None:
        if digest not in read and digest in known:
            read[digest] = _manifest(repository, known[digest])
        return read.get(digest)

    weighed: dict[tuple[object, ...], int] = {}

    def weigh(seen: Seen) -> int:
        """Once for all devices that run the same on the same hardware."""
        report = seen.report
        running = report.active.manifest if report and report.active else None
        like = (seen.hardware, running, report and report.capabilities.edgetpu)
        if like not in weighed:
            weighed[like] = previews.lacking(release, seen, manifest_of)
        return weighed[like]

    return weigh
