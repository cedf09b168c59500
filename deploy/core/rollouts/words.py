"""The words of a rollout: what an operator orders, what a gate finds, and what the ledger remembers.

Every entry is what somebody decided; what follows from it is done afterwards, and done again after a restart
until it stands. The state of a rollout is the fold of its entries (`state`), so nothing else is kept.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from agent.wire.documents import (
    Instant,
    MaintenanceWindow,
    Plan,
    Positive,
    ProbationPolicy,
    ReleaseRef,
    Segment,
    Share,
    TrialPolicy,
)
from agent.wire.topics import DeviceId, Digest


class GatePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the next wave may begin, and when everything is taken back."""

    deadline_s: Positive = 1_800.0
    """A device that has not ended the update so long after its turn and its download could have begun has
    failed, whatever it says or does not say."""
    absence_s: Positive = 180.0
    """A device that has begun to run the release and is away for so long, or for its deadline where that is
    shorter, may have died of it. It has failed at once where more are away than by chance, as the devices
    show that do not run it; else when it was away for its deadline, unless those went away at the same rate.
    """
    soak_s: Annotated[float, Meta(ge=0.0)] = 0.0
    """The shortest time that a wave is looked at."""
    failed_share_max: Share = 0.02
    """Of the devices of all waves so far that are not offline or held. One failure in a wave too small to
    tell is one too many."""
    failed_max: Annotated[int, Meta(ge=0)] = 0
    """So many failures are forgiven, whatever their share."""
    judged_share_min: Share = 0.8
    """Of as many devices as the waves so far are to have; where more are offline or held, nobody can tell."""
    vanished_share_max: Share = 0.05
    """Of the devices of all waves so far: those that were online when their wave began and went away before
    they said whether they saw it, or that they go. So many go away anyhow; one at least is let pass."""
    class_failed_share_max: Share = 0.1
    """As `failed_share_max`, in any one hardware class: that class alone is taken back."""
    degraded_share_max: Share = 0.2
    latency_ratio_max: Positive = 1.5
    """p95 of invoke() over the release before it, on the same devices."""
    error_share_max: Share = 0.01
    """Of frames, above that of the release before it."""
    confidence_drop_max: Share = 0.15
    """Of the mean best score."""
    class_distance_max: Share = 0.35
    """Total variation distance between what both releases named, in [0, 1]."""
    agreement_min: Share = 0.6
    """With the release before it, on the frames of the trials."""
    restarts_per_device_max: Annotated[float, Meta(ge=0.0)] = 0.2
    soc_c_rise_max: Positive = 8.0
    """Mean of the devices' highest SoC temperatures."""
    frames_min: Annotated[int, Meta(ge=1)] = 50
    """Evidence of fewer frames decides nothing."""


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The policy file of a rollout."""

    gate: GatePolicy = GatePolicy()
    trial: TrialPolicy = TrialPolicy()
    probation: ProbationPolicy = ProbationPolicy()
    windows: tuple[MaintenanceWindow, ...] = ()
    urgent: bool = False
    spread_s: Annotated[float, Meta(ge=0.0)] = 0.0
    rate_bytes_s: Annotated[float, Meta(ge=0.0)] = 0.0
    approve: tuple[str, ...] = ()
    """The waves, as ordered, that need a second person's signature before they begin."""
    approvals_min: Annotated[int, Meta(ge=1)] = 1


class Order(Struct, frozen=True, kw_only=True):
    """What an operator asks for."""

    rollout: Segment
    """Its name in commands and in the ledger."""
    stream: Segment
    release: ReleaseRef
    files: tuple[Digest, ...]
    """Of the release, as a revocation names them: its manifest, and its variants but those that `stable`
    shares."""
    stable: ReleaseRef | None = None
    """What every device goes back to."""
    waves: Annotated[tuple[str, ...], Meta(min_length=1, max_length=32)]
    """Growing: a number of devices, a share such as `5%`, or `100%`, which is everybody."""
    match: tuple[str, ...] = ()
    salt: str
    policy: Policy = Policy()
    bytes_each: int = 0
    """What a device that has nothing downloads; for deadlines."""


class Verdict(StrEnum):
    PROMOTE = "promote"
    HOLD = "hold"
    ABORT = "abort"


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that a gate looked at. `says` is what it alone would decide."""

    name: str
    says: Verdict
    words: str
    """With the value, and the limit that it was held against."""
    value: float | None = None
    limit: float | None = None
    hardware: str = ""
    """The class that it concerns; empty: all."""


class Tally(Struct, frozen=True, kw_only=True):
    """The devices of the waves so far, each counted once, by id."""

    healthy: tuple[DeviceId, ...] = ()
    """Committed the candidate, and were heard since."""
    pending: tuple[DeviceId, ...] = ()
    """On their way, within the deadline."""
    failed: tuple[DeviceId, ...] = ()
    """Refused it, took it back, or lost it."""
    silent: tuple[DeviceId, ...] = ()
    """Past the deadline without an end, or gone after they had begun: failed."""
    degraded: tuple[DeviceId, ...] = ()
    """Healthy, on less than the release promises."""
    offline: tuple[DeviceId, ...] = ()
    """Gone before they began: outside the denominator."""
    vanished: tuple[DeviceId, ...] = ()
    """Online when their wave began, and gone before they said that they saw it. Nobody knows why, so they are
    outside the denominator, and too many of them hold."""
    held: tuple[DeviceId, ...] = ()
    """They have seen the plan and say what holds them, which is not the candidate's fault."""
    away: tuple[DeviceId, ...] = ()
    """Gone after they had begun to run the release, and not for long enough, or not by more than devices that
    do not run it, to have died of it."""


class Judgement(Struct, frozen=True, kw_only=True):
    verdict: Verdict
    findings: tuple[Finding, ...]
    tally: Tally = Tally()
    classes: tuple[str, ...] = ()
    """ABORT: the hardware classes that are taken back; none: all."""

    @property
    def words(self) -> str:
        """What decided; where nothing speaks against the next wave, how many say so."""
        if self.verdict is Verdict.PROMOTE:
            well = len(self.tally.healthy) + len(self.tally.degraded)
            bad = len(self.tally.failed) + len(self.tally.silent)
            found = len(self.findings)
            return f"{well} of {well + bad} devices are well, and none of {found} findings objects"
        return "; ".join(finding.words for finding in self.findings if finding.says is self.verdict)


class Outcome(StrEnum):
    COMPLETED = "completed"
    REVERTED = "reverted"


class Entry(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """`by` is who decided: the name of a person's account, or `controller`."""

    by: str = "controller"


class Of(Entry, frozen=True, kw_only=True):
    rollout: Segment


class Started(Entry, frozen=True, kw_only=True, tag="started"):
    order: Order


class Steered(Of, frozen=True, kw_only=True, tag="steered"):
    """This plan is to stand: written before it is signed."""

    plan: Plan
    wave: int
    """Of the order, from 0; -1: taken back."""
    why: str


class Judged(Of, frozen=True, kw_only=True, tag="judged"):
    """Written where a verdict or its reason changes. `picture` is the content of what was judged."""

    wave: int
    judgement: Judgement
    picture: Digest


class Paused(Of, frozen=True, kw_only=True, tag="paused"):
    why: str


class Resumed(Of, frozen=True, kw_only=True, tag="resumed"):
    why: str


class Forced(Of, frozen=True, kw_only=True, tag="forced"):
    """A person passes the gate after this wave."""

    wave: int
    why: str


class Approved(Of, frozen=True, kw_only=True, tag="approved"):
    """A second person's signature over `approval_bytes` of this rollout and wave."""

    wave: int
    key: str
    signature: str


class Aborted(Of, frozen=True, kw_only=True, tag="aborted"):
    """The candidate is to be taken back and its files are refused for ever."""

    why: str
    revoke: bool = True


class ClassWithdrawn(Of, frozen=True, kw_only=True, tag="class-withdrawn"):
    """One hardware class goes back to stable and takes no further part."""

    hardware: str
    why: str


class Ended(Of, frozen=True, kw_only=True, tag="ended"):
    outcome: Outcome


class Reasserted(Entry, frozen=True, kw_only=True, tag="reasserted"):
    """The broker stood behind what was signed, and was brought up to it."""

    timestamp: int
    found: int
    why: str


class Renewed(Entry, frozen=True, kw_only=True, tag="renewed"):
    """A fresh timestamp was signed."""

    timestamp: int


class TookOver(Entry, frozen=True, kw_only=True, tag="took-over"):
    """A controller began, or another one's place was taken."""

    controller: str
    why: str


class Enrolled(Entry, frozen=True, kw_only=True, tag="enrolled"):
    device: DeviceId
    tags: tuple[str, ...] = ()
    hardware: str = ""
    """As far as it is known before the device has spoken."""
    sealed: bool = False
    """It seals what it reports; what is not sealed is not its own."""
    credential: str = ""
    """Fingerprint of the certificate, or `password`."""
    why: str = ""


class Expelled(Entry, frozen=True, kw_only=True, tag="expelled"):
    device: DeviceId
    why: str


AnyEntry = (
    Started
    | Steered
    | Judged
    | Paused
    | Resumed
    | Forced
    | Approved
    | Aborted
    | ClassWithdrawn
    | Ended
    | Reasserted
    | Renewed
    | TookOver
    | Enrolled
    | Expelled
)


class Line(Struct, frozen=True, kw_only=True):
    """An entry as it stands in the ledger.

    `chain` is sha256 over the chain of the line before it (64 zeros for the first), a newline, and the bytes
    of `number`, `at` and `entry` as JSON: who changes a line changes every one after it.
    """

    number: int
    at: Instant
    entry: AnyEntry
    chain: Digest
