"""What the page of a fleet is told and what it asks for, as JSON.

The table comes whole once (`FleetNow`), and as `Changed` from then on. Both bear a version: whoever opens the
stream first, then reads the table, and passes over each `Changed` whose version is not above the table's, has
missed nothing.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct

from agent.core.page.access import Role
from agent.core.page.words import Broker
from agent.wire.documents import Count, InputContract, Instant, OutputContract
from agent.wire.reports import CameraState, Percentiles, Phase, Report
from agent.wire.topics import MAIN, Digest
from deploy.core.devices.outlook import WaveState
from deploy.core.devices.roster import Counts
from deploy.core.devices.why import Explained
from deploy.core.factory.evaluation import document
from deploy.core.history import Told
from deploy.core.page.roles import Act
from deploy.core.rollouts.preview import Preview
from deploy.core.rollouts.tally import Standing
from deploy.core.rollouts.words import Finding, Outcome, Policy, Verdict

LINES_MAX: Final = 200
"""Of the audit, a page."""
NAMED_MAX: Final = 200
"""Devices that are named where there may be thousands."""


class Me(Struct, frozen=True, kw_only=True):
    """Whoever asks."""

    name: str = ""
    """Empty: nobody has signed in."""
    role: Role | None = None
    may: tuple[Act, ...] = ()
    sign_in: bool = False
    """There are users, so signing in is possible."""
    note: str = ""
    """Why nothing can be ordered here, and what to do about it; else empty."""
    fleet: str = ""
    stream: str = ""
    """Of rollouts, where none is named."""


class Row(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pipeline of a device. What is as its default is left out."""

    device: str
    pipeline: str = MAIN
    online: bool = False
    running: str = ""
    """`name@version`."""
    delegate: str = ""
    phase: Phase | None = None
    candidate: str = ""
    done_share: float | None = None
    """Of the candidate's bytes, while they are fetched."""
    code: str = ""
    """The cause, as `shoal why` gives it."""
    why: str = ""
    """In words, where it is not as it should be."""
    standing: Standing | None = None
    """How the gate of the rollout counts the device."""
    urgency: Annotated[int, Meta(ge=0, le=6)] = 6
    """0 first: who sorts by it sees first what a person should look at first."""
    hardware: str = ""
    tags: tuple[str, ...] = ()
    plan: int | None = None
    """The serial of the plan that it has seen."""
    at: Instant | None = None
    """Of its last report, by its own clock."""
    degraded: str = ""
    camera: CameraState | None = None
    paused: bool = False
    stream: str = ""

    @property
    def key(self) -> str:
        """What a row is known by: `device`, or `device/pipeline` of a further one."""
        return self.device if self.pipeline == MAIN else f"{self.device}/{self.pipeline}"


class Controller(Struct, frozen=True, kw_only=True):
    """Who carries orders out."""

    runs: bool
    words: str
    """Who it is and since when; or that nobody carries anything out, and what to do."""


class FleetNow(Struct, frozen=True, kw_only=True):
    version: Count
    at: Instant
    """When this was so: while the broker is away, when it went."""
    broker: Broker
    controller: Controller
    counts: Counts
    rows: tuple[Row, ...]
    """Sorted by device, `main` before its further pipelines."""
    missing: tuple[str, ...] = ()
    """Why the table may be incomplete, in words."""
    refused: tuple[str, ...] = ()
    """What was not believed, in words."""
    fault: str = ""
    """Why the ledger cannot be read; else empty."""


class Changed(Struct, frozen=True, kw_only=True):
    """SSE event `fleet`."""

    version: Count
    at: Instant
    counts: Counts
    rows: tuple[Row, ...] = ()
    """Each in the place of the one with its device and pipeline, or new."""
    gone: tuple[str, ...] = ()
    """`device`, or `device/pipeline`."""
    anew: bool = False
    """More changed than is told here: read the table, which is packed, and made once for everybody."""
    missing: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    fault: str = ""


class Turned(Struct, frozen=True, kw_only=True):
    """SSE event `broker`: it came or went, or the controller did."""

    broker: Broker
    controller: Controller


class Pipeline(Struct, frozen=True, kw_only=True):
    row: Row
    explained: Explained
    report: Report | None
    serving_ms: Percentiles | None = None
    """Of `invoke()`, since the release runs. None: it has answered no frame yet."""
    before_ms: Percentiles | None = None
    """The same of the release before it."""


class Member(Struct, frozen=True, kw_only=True):
    """As it was enrolled."""

    tags: tuple[str, ...]
    hardware: str
    sealed: bool
    expelled: bool
    credential: str


class DeviceNow(Struct, frozen=True, kw_only=True):
    device: str
    at: Instant
    pipelines: tuple[Pipeline, ...]
    """`main` first."""
    member: Member | None
    """None: nobody enrolled it."""
    history: tuple[Told, ...]
    """Lines of the ledger about it, the newest first, at most LINES_MAX."""


class WaveNow(Struct, frozen=True, kw_only=True):
    label: str
    state: WaveState
    devices: Count
    """That it lets in and the one before it did not."""
    standings: dict[str, int]
    begun_at: Instant | None = None
    signatures: Count = 0
    """That it needs before it begins."""
    signed: Count = 0


class Gate(Struct, frozen=True, kw_only=True):
    verdict: Verdict
    words: str
    findings: tuple[Finding, ...]
    """The evidence: what was looked at, with its value, its limit and what it alone would decide."""
    counted: dict[str, int]
    failed: tuple[str, ...]
    """Devices that failed or fell silent, at most NAMED_MAX."""


class Signing(Struct, frozen=True, kw_only=True):
    """The next wave waits for a signature."""

    wave: str
    missing: Count
    content: str
    """What an approver signs: Ed25519 over its bytes in UTF-8."""
    keys: tuple[str, ...]
    """Public keys that count, in hexadecimal digits."""


class Brief(Struct, frozen=True, kw_only=True):
    """A rollout in a list. SSE event `rollout`, whenever anything of it changes."""

    name: str
    stream: str
    release: str
    stable: str
    state: str
    """`waiting`, `running`, `paused`, `going-back`, `completed` or `reverted`."""
    words: str
    """Where it stands, and why."""
    wave: int
    """From 0; -1: none yet, or taken back."""
    waves: tuple[str, ...]
    started_at: Instant
    by: str
    outcome: Outcome | None = None
    verdict: Verdict | None = None
    exposed: Count = 0
    """Devices that the waves so far let in."""
    standings: dict[str, int] = {}
    back: Count = 0
    """Of the exposed, those that serve the stable release again, once it is taken back."""


class RolloutNow(Struct, frozen=True, kw_only=True):
    at: Instant
    brief: Brief
    match: tuple[str, ...]
    policy: Policy
    salt: str
    waves: tuple[WaveNow, ...]
    gate: Gate | None
    judged_at: Instant | None
    withdrawn: tuple[str, ...]
    bytes_left: Count
    loading: Count
    may: tuple[str, ...]
    """What can be ordered now, by anybody who may: `pause`, `resume`, `promote`, `force`, `abort`, `revert`,
    `approve`."""
    signing: Signing | None
    history: tuple[Told, ...]
    """The newest first, at most LINES_MAX."""
    note: str = ""
    """What keeps this from being true, or the rollout from going on; else empty."""


class ReleaseBrief(Struct, frozen=True, kw_only=True):
    name: str
    version: str
    manifest: Digest
    evaluation: str
    """In words; empty: nothing is known."""
    running: Count
    """Pipelines that serve it."""
    stable: tuple[str, ...] = ()
    """Streams whose stable release it is."""
    candidate: tuple[str, ...] = ()
    revoked: bool = False


class VariantSaid(Struct, frozen=True, kw_only=True):
    file: str
    delegate: str
    digest: Digest
    bytes: Count
    pulled_bytes: Count
    """By a device that has nothing of it."""
    minimum_runtime: str
    runtime_reason: str
    patches: tuple[Digest, ...] = ()
    """Files that it is patched from."""


class ReleaseNow(Struct, frozen=True, kw_only=True):
    brief: ReleaseBrief
    description: str
    licence: str
    variants: tuple[VariantSaid, ...]
    input: InputContract
    output: OutputContract
    labels: bool
    golden_tolerance: float
    figures: dict[str, float]
    report: document.Report | None
    """As `shoal evaluate` wrote it; None: it did not come with the release."""
    provenance: dict[str, str]
    running_on: tuple[str, ...]
    """At most NAMED_MAX."""
    rollouts: tuple[str, ...]
    """The newest first."""


class Audit(Struct, frozen=True, kw_only=True):
    lines: tuple[Told, ...]
    """The newest first."""
    total: Count
    before: int | None
    """The number to ask further ones with; None: these are the oldest."""


class Verified(Struct, frozen=True, kw_only=True):
    """What `shoal audit verify` says."""

    whole: bool
    words: str
    lines: Count = 0
    head: str = ""


class StartAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    release: Annotated[str, Meta(min_length=1)]
    """`name` or `name@version`."""
    waves: Annotated[tuple[str, ...], Meta(min_length=1, max_length=32)]
    stream: str = ""
    match: tuple[str, ...] = ()
    policy: Policy = Policy()
    name: str = ""
    salt: str = ""
    """That of a preview: these very waves."""
    why: str = ""
    replace: str = ""
    """Why the rollout that is under way must give way; empty: it must not."""


class Planned(Struct, frozen=True, kw_only=True):
    preview: Preview
    evaluation: str
    """In words; empty: nothing is known."""


class SteerAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands beside the verb in the address."""

    why: str = ""
    confirm: str = ""
    """`abort` and `revert`: the rollout's name, typed by a person."""
    wave: int | None = None
    """`promote`: the one that was on the screen, so that two hands do not let in two waves."""
    force: bool = False
    """`promote`: whatever the gate says; with a reason."""
    hardware: str = ""
    """`revert`: this class alone."""


class ApproveAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    wave: str
    key: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    signature: Annotated[str, Meta(pattern=r"\A[0-9a-f]{128}\Z")]


class Done(Struct, frozen=True, kw_only=True):
    """An order stands in the ledger."""

    rollout: RolloutNow
    words: str
    """What happens next; or that nobody carries it out."""


class Releases(Struct, frozen=True, kw_only=True):
    releases: tuple[ReleaseBrief, ...]
    """The newest of each name first."""


class Rollouts(Struct, frozen=True, kw_only=True):
    rollouts: tuple[Brief, ...]
    """The newest first."""
