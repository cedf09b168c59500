"""The words of the lifecycle: what a device remembers, what can happen, and what is to be done about it.

A release passes through slots: `candidate` is on its way in, `active` serves, `fallback` served before.
"""

from dataclasses import dataclass

from msgspec import Struct

from agent.core.update.known_bad import Known
from agent.wire.documents import Delegate, ProbationPolicy, TrialPolicy
from agent.wire.reasons import Reason
from agent.wire.reports import Ended, Evidence
from agent.wire.topics import Digest


class Fitted(Struct, frozen=True, kw_only=True):
    """A release as it fits this device: the variant chosen, and every file that must stay on disk.

    `twin` is the variant for the CPU, kept beside one that is compiled for an Edge TPU.
    """

    name: str
    version: str
    manifest: Digest
    variant: Digest
    delegate: Delegate
    files: tuple[Digest, ...]
    twin: Digest | None = None

    def is_as(self, other: "Fitted | None") -> bool:
        """The same release in the same variant: one that gains its Edge TPU is proven anew."""
        return other is not None and (self.manifest, self.variant) == (other.manifest, other.variant)


class Idle(Struct, frozen=True, kw_only=True, tag="idle"):
    active: Fitted | None = None
    fallback: Fitted | None = None


class Fetching(Struct, frozen=True, kw_only=True, tag="fetching"):
    active: Fitted | None
    fallback: Fitted | None
    candidate: Fitted


class Trial(Struct, frozen=True, kw_only=True, tag="trial"):
    active: Fitted | None
    fallback: Fitted | None
    candidate: Fitted
    tries: int


class Probation(Struct, frozen=True, kw_only=True, tag="probation"):
    """`active` is the candidate that serves; `fallback` is what served before it."""

    active: Fitted
    fallback: Fitted | None
    need: int
    good: int = 0
    unclean_starts: int = 0
    program: str = ""
    """Under which it has fared well, last."""


State = Idle | Fetching | Trial | Probation


def under_way(state: State) -> Fitted | None:
    """The release that is being fetched, tried or watched."""
    match state:
        case Fetching(candidate=candidate) | Trial(candidate=candidate):
            return candidate
        case Probation(active=active):
            return active
        case Idle():
            return None


def pursued(state: State) -> Fitted | None:
    """What the device already runs or is on its way to."""
    return state.active if isinstance(state, Idle) else under_way(state)


class Handover(Struct, frozen=True, kw_only=True):
    """What a release is measured against that has come through its trial here."""

    manifest: Digest
    before: Evidence | None = None
    """Of the release that it took over from, as it stood then."""
    shadow_frames: int = 0
    agreed_frames: int = 0


class Record(Struct, frozen=True, kw_only=True):
    """What is fsynced: the state, and what outlives it."""

    state: State = Idle()
    known_bad: Known = ()
    last: Ended | None = None
    plan_serial: int = -1
    trial: TrialPolicy = TrialPolicy()
    probation: ProbationPolicy = ProbationPolicy()
    """The policies of the plan last admitted: a trial that a power cut interrupted goes on under them."""
    rate_bytes_s: float = 0.0
    """Its cap on downloads, likewise."""
    accepted: Digest | None = None
    """The manifest that somebody on the device accepted last; of use where updates are asked for."""
    handover: Handover | None = None
    """Of the release that last came through its trial. What a release shows in service begins anew with each
    start of the agent; what it is measured against could not be had again."""
    program: str = ""
    """Which installation of the agent wrote this."""


@dataclass(frozen=True, slots=True)
class Started:
    """The agent came up. `clean` if it went down by its own will. `program` tells one installation of it from
    any other.
    """

    clean: bool
    program: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The plan asks for this release. `stable`: it is what every device goes back to."""

    release: Fitted
    stable: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    manifest: Digest


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """The files cannot be had in a way that trying again would mend."""

    manifest: Digest
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TrialPassed:
    manifest: Digest
    healthy_windows: int
    shadow_frames: int = 0
    """Live frames that could show whether both models agree, and on how many they did."""
    agreed_frames: int = 0
    before: Evidence | None = None
    """What the running release has shown until now."""


@dataclass(frozen=True, slots=True)
class TrialFailed:
    """`whole`: what failed is not the variant that was chosen but the one that would stand in for it, so that
    nothing of the release is left to try.
    """

    manifest: Digest
    reason: Reason
    detail: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Healthy:
    manifest: Digest


@dataclass(frozen=True, slots=True)
class Sick:
    manifest: Digest
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Revoked:
    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The plan no longer offers this device what is under way, and nothing in its place."""


@dataclass(frozen=True, slots=True)
class Rotten:
    """A slot's file on disk no longer has its digest; found at a start."""

    release: Fitted


@dataclass(frozen=True, slots=True)
class Accepted:
    """Somebody on the device wants this release."""

    manifest: Digest


@dataclass(frozen=True, slots=True)
class Refitted:
    """The hardware has changed: what only lacked it may be tried again."""


Event = (
    Started
    | Wanted
    | Withdrawn
    | Fetched
    | FetchFailed
    | TrialPassed
    | TrialFailed
    | Healthy
    | Sick
    | Revoked
    | Rotten
    | Refitted
    | Accepted
)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Pull every file of the release that is not on disk."""

    release: Fitted


@dataclass(frozen=True, slots=True)
class Try:
    """Prove the candidate in a canary, then beside the running release."""

    candidate: Fitted
    running: Fitted | None


@dataclass(frozen=True, slots=True)
class Activate:
    """Make the worker serve this release; nothing if it does already. `again`: it has just failed to."""

    release: Fitted
    again: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """End what is under way for this release: its fetch, its trial or, where nothing ran before it,
    its service.
    """

    release: Fitted


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the world how an update ended."""

    ended: Ended


@dataclass(frozen=True, slots=True)
class Collect:
    """Delete what no slot refers to."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The event spoke of a release that is no longer under way."""

    event: Event


@dataclass(frozen=True, slots=True)
class Rest:
    """Make the worker serve nothing: what it serves was taken back, and there was nothing before it."""


Effect = Fetch | Try | Activate | Rest | Cancel | Announce | Collect | Dropped
Step = tuple[Record, tuple[Effect, ...]]


class ImpossibleEvent(Exception):
    def __init__(self, record: Record, event: Event) -> None:
        super().__init__(f"{type(event).__name__} cannot happen in {type(record.state).__name__}: {event}")
