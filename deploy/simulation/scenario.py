"""A scenario: a fleet, two releases, what befalls the devices, the rollout, and what must come of it.

Scenarios are data: TOML files, decoded into these words. Times are real seconds: a fleet that is to live
through a week within a minute is given a policy whose deadlines are as short.
"""

import hashlib
import importlib.resources
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from agent.wire.documents import Count, Positive, Segment, Share
from agent.wire.errors import ConfigError
from deploy.core.rollouts.words import Outcome, Policy

Seconds = Annotated[float, Meta(ge=0.0)]
FOLDER: Final = importlib.resources.files(__package__) / "scenarios"


class Words(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Fate(StrEnum):
    """What a release does to a device that it does not suit."""

    HANGS = "hangs"
    """The device stands still: its connection stays, and nothing is said on it."""
    DIES = "dies"
    """The device is gone at once, and does not come back."""
    REBOOTS = "reboots"
    """The device goes down and comes back, each time that it is served."""
    CRASHES = "crashes"
    """The worker's process ends."""
    CANARY_CRASHES = "canary-crashes"
    REFUSED = "refused"
    """The golden inputs do not give what they must."""
    ERRS = "errs"
    """No frame is answered."""
    SLOW = "slow"
    """Ten times as slow in service, and only there."""
    LIES = "lies"
    """As `dies`, but somebody who may write to the broker goes on reporting that all is well."""


class Fault(Words, frozen=True, kw_only=True):
    fate: Fate
    share: Share
    """Of the devices; who they are follows from the seed."""
    after_frames: Count = 2
    """Of the release in service."""


class Behaviour(Words, frozen=True, kw_only=True):
    """What a release does on a device of this fleet."""

    invoke_ms: Positive = 20.0
    jitter: Share = 0.1
    accuracy: Share = 0.95
    confidence: Share = 0.85
    error_share: Share = 0.0
    fault: tuple[Fault, ...] = ()


class Presence(Words, frozen=True, kw_only=True):
    """When a device is there. Seconds count from when the fleet serves its first release."""

    leaves_at_s: Seconds | None = None
    """It loses its power then; 0: before the rollout begins."""
    returns_at_s: Seconds | None = None
    outage_every_s: Seconds = 0.0
    """Mean time between power cuts; 0: none."""
    outage_s: Seconds = 1.0


class Line(Words, frozen=True, kw_only=True):
    rate_bytes_s: Seconds = 0.0
    """0: as fast as this machine."""
    cut_every_s: Seconds = 0.0
    """Mean time between breaks of the connection; 0: none."""


class Clock(Words, frozen=True, kw_only=True):
    offset_s: float = 0.0
    synchronized: bool = True


class Group(Words, frozen=True, kw_only=True):
    """Devices that have something in common, in the order of their numbers."""

    share: Share
    hardware: str = "cpu"
    tags: tuple[str, ...] = ()
    line: Line = Line()
    clock: Clock = Clock()
    presence: Presence = Presence()


class Fleet(Words, frozen=True, kw_only=True):
    fps: Positive = 2.0
    group: Annotated[tuple[Group, ...], Meta(min_length=1)] = (Group(share=1.0),)
    model_bytes: Annotated[int, Meta(ge=1024)] = 65_536
    telemetry_s: Annotated[float, Meta(ge=1.0)] = 60.0


class Rollout(Words, frozen=True, kw_only=True):
    waves: tuple[str, ...] = ("1", "5%", "25%", "100%")
    match: tuple[str, ...] = ()
    policy: Policy = Policy()


class Broker(Words, frozen=True, kw_only=True):
    as_it_comes: bool = False
    """A Mosquitto with its own defaults, rather than what Shoal gives one of its own."""
    killed_at_s: Seconds | None = None
    """After the rollout has begun: SIGKILL."""
    away_s: Seconds = 2.0


class Expect(Words, frozen=True, kw_only=True):
    ends: Outcome | None = None
    """None: it is still under way when time is up."""
    exposed_max: Annotated[int, Meta(ge=0)] | None = None
    exposed_share_max: Share | None = None
    """Of the fleet."""
    reached_min_share: Share = 0.0
    """Of the devices that are there at the end: so many run the candidate."""
    restored: bool = True
    """Where it is taken back: every exposed device that is there runs the release before it."""


class Scenario(Words, frozen=True, kw_only=True):
    name: Segment
    words: str
    fleet: Fleet = Fleet()
    stable: Behaviour = Behaviour()
    candidate: Behaviour = Behaviour()
    rollout: Rollout = Rollout()
    broker: Broker = Broker()
    expect: Expect = Expect()
    timeout_s: Positive = 300.0


def shipped() -> tuple[str, ...]:
    """The names of the scenarios that come with Shoal."""
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in FOLDER.iterdir() if entry.is_file()))


def read(named: str) -> Scenario:
    """One that comes with Shoal, by its name, or a file.

    Raises:
        ConfigError: there is none, or it is not right; the message says where.
    """
    path = FOLDER / f"{named}.toml" if named in shipped() else Path(named)
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Scenario)
    except OSError as error:
        raise ConfigError(
            f"scenario {named}: {error.strerror}; use a file, or one of {', '.join(shipped())}"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"scenario {named} is not UTF-8 text: {error.reason}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"scenario {named}: {error}") from error


def chance(*words: object) -> float:
    """In [0, 1), the same for the same words."""
    named = "\n".join(map(str, words)).encode()
    return int.from_bytes(hashlib.sha256(named).digest()[:8], "big") / 2**64


def struck(behaviour: Behaviour, seed: int, device: str) -> Fault | None:
    """What this release does to this device."""
    place, below = chance(seed, "fault", device), 0.0
    for fault in behaviour.fault:
        below += fault.share
        if place < below:
            return fault
    return None


def groups(fleet: Fleet, devices: int) -> tuple[Group, ...]:
    """The group of each device, by its number: shares rounded, the last group takes the rest."""
    found: list[Group] = []
    share = 0.0
    for group in fleet.group:
        share += group.share
        found += [group] * (round(share * devices) - len(found))
    return (*found, *[fleet.group[-1]] * (devices - len(found)))
