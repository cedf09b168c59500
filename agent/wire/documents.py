"""The documents that devices and operators exchange, as frozen values.

Within a schema major, fields may be added with defaults and unknown fields are ignored;
an unknown major is refused (see `codec`). Instants are UTC. Units end names; shares are in [0, 1].
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from agent.wire.topics import Digest

SCHEMA = 1
CHUNK_MAX_BYTES = 65_536
SLICE_BYTES = 16_384
"""A cut in the middle of a slice costs at most so much. All of a chunk's are of this length but the last."""

HexDigest = Annotated[Digest, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, Meta(gt=0.0)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
"""No more than every reader of JSON keeps exactly."""
Segment = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Cut = Annotated[str, Meta(pattern=r"\A([0-9a-f]{16}|10{16})\Z")]
Instant = Annotated[datetime, Meta(tz=True)]


class Document(Struct, frozen=True, kw_only=True):
    schema: int = SCHEMA


class Delegate(StrEnum):
    """What a variant was built for."""

    CPU = "cpu"
    EDGETPU = "edgetpu"


class Fit(StrEnum):
    """How a frame becomes the model's height and width."""

    SQUASH = "squash"
    CENTRE_CROP = "centre-crop"
    LETTERBOX = "letterbox"


class Dtype(StrEnum):
    UINT8 = "uint8"
    INT8 = "int8"
    INT16 = "int16"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


class Activation(StrEnum):
    """What the numbers of the output are."""

    PROBABILITIES = "probabilities"
    LOGITS = "logits"


class Packed(Struct, frozen=True, array_like=True):
    """A chunk as it travels where that is shorter: one zstandard frame (RFC 8878) that states its content's
    length.
    """

    digest: HexDigest
    """Of the frame: it is published under this name, and looked at before it is unpacked."""
    length: Annotated[int, Meta(gt=0, le=CHUNK_MAX_BYTES)]


class Chunk(Struct, frozen=True, array_like=True):
    """`digest` and `length` are those of its content, by which it is shared, resumed and verified on disk."""

    digest: HexDigest
    length: Annotated[int, Meta(gt=0, le=CHUNK_MAX_BYTES)]
    packed: Packed | None = None

    @property
    def published(self) -> Digest:
        """The name under which a broker keeps it."""
        return self.digest if self.packed is None else self.packed.digest

    @property
    def published_bytes(self) -> int:
        return self.length if self.packed is None else self.packed.length

    @property
    def slices(self) -> int:
        """In how many slices it is published besides; 0: in none."""
        count = -(-self.published_bytes // SLICE_BYTES)
        return count if count > 1 else 0


class Artifact(Struct, frozen=True, kw_only=True):
    """A file, named by its content, and the ordered chunks it is pulled in."""

    digest: HexDigest
    length: Annotated[int, Meta(gt=0)]
    chunks: tuple[Chunk, ...]


class Quantization(Struct, frozen=True, kw_only=True):
    """real = (quantized - zero_point) * scale, per tensor."""

    scale: Positive
    zero_point: int


class Normalization(Struct, frozen=True, kw_only=True):
    """real = (pixel - mean) / std, pixels in [0, 255]; one value, or one a channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class InputContract(Struct, frozen=True, kw_only=True):
    height_px: Annotated[int, Meta(gt=0, le=8192)]
    width_px: Annotated[int, Meta(gt=0, le=8192)]
    channels: Literal[1, 3]
    dtype: Dtype
    fit: Fit = Fit.CENTRE_CROP
    quantization: Quantization | None = None
    normalization: Normalization | None = None


class OutputContract(Struct, frozen=True, kw_only=True):
    classes: Annotated[int, Meta(gt=0)]
    dtype: Dtype
    activation: Activation = Activation.PROBABILITIES
    quantization: Quantization | None = None


class Patch(Struct, frozen=True, kw_only=True):
    """What makes an artifact of another one, which a device may hold already."""

    base: HexDigest
    """Of the whole file that it is applied to."""
    base_bytes: Annotated[int, Meta(gt=0)]
    algorithm: Annotated[str, Meta(max_length=64)]
    """A patch by an algorithm that a device does not know is passed over, so it is no enumeration here."""
    artifact: Artifact
    """The patch itself."""


ZSTD_PATCH: Final = "zstd-patch-from"
"""One zstandard frame (RFC 8878) that states its content's length, with the base as its raw content
dictionary; what `zstd --patch-from` makes."""


class Variant(Struct, frozen=True, kw_only=True):
    """One compiled form of a release. The quantization of its tensors is read from the file itself."""

    artifact: Artifact
    file: str
    delegate: Delegate
    minimum_runtime: str | None = None
    """A TensorFlow version whose runtime has all that it uses, or one runtime's name and version. None:
    every runtime of Shoal has it."""
    runtime_reason: str = ""
    """What sets that, such as `FULLY_CONNECTED version 12`."""
    patches: Annotated[tuple[Patch, ...], Meta(max_length=4)] = ()


class Golden(Struct, frozen=True, kw_only=True):
    """Reference frames with the scores they must give (a `GoldenSet` in the artifact)."""

    artifact: Artifact
    tolerance: Share


class GoldenCase(Struct, frozen=True, kw_only=True):
    """One reference frame: a PNG (8-bit RGB), and the scores of its best classes, best first."""

    png: bytes
    expected: tuple[tuple[int, float], ...]


class GoldenSet(Document, frozen=True, kw_only=True):
    cases: tuple[GoldenCase, ...]


class Manifest(Document, frozen=True, kw_only=True):
    """A release of a model: TUF target `models/<name>/<version>.json`, immutable."""

    name: Segment
    version: Segment
    variants: Annotated[tuple[Variant, ...], Meta(min_length=1, max_length=8)]
    input: InputContract
    output: OutputContract
    labels: Artifact | None
    golden: Golden
    evaluation: dict[str, float] = {}
    licence: str = ""
    provenance: dict[str, str] = {}
    description: str = ""


class ReleaseRef(Struct, frozen=True, kw_only=True):
    name: Segment
    version: Segment
    manifest: HexDigest


class TrialPolicy(Struct, frozen=True, kw_only=True):
    """What a candidate must show before it is activated."""

    invoke_budget_ms: Positive = 2_000.0
    """p95 of invoke() alone on this device, over the golden inputs."""
    latency_ratio_max: Positive = 4.0
    """Median invoke() over the running model's on the same live frames."""
    shadow_frames: Count = 20
    agreement_min: Share = 0.5
    """Share of the frames on which both models name the same label, counted where the running
    model is sure and knows a label that the candidate knows too."""
    timeout_s: Positive = 120.0


class ProbationPolicy(Struct, frozen=True, kw_only=True):
    """What an activated release must show before it is committed."""

    healthy_windows: Annotated[int, Meta(ge=1)] = 3
    window_frames: Annotated[int, Meta(ge=1)] = 50
    latency_ratio_max: Positive = 4.0
    error_share_max: Share = 0.05


class MaintenanceWindow(Struct, frozen=True, kw_only=True):
    """When a device may begin an update, in UTC. It may end after midnight."""

    days: Annotated[tuple[Annotated[int, Meta(ge=0, le=6)], ...], Meta(min_length=1, max_length=7)]
    """On which it begins; 0 is Monday."""
    start_minute: Annotated[int, Meta(ge=0, lt=1440)]
    """After midnight."""
    minutes: Annotated[int, Meta(ge=1, le=1440)]


class Plan(Document, frozen=True, kw_only=True):
    """Who runs what: TUF target `rollouts/<stream>.json`.

    It carries `stable` and `candidate` together, so that a revert is one publish and a device that
    joins late has something to run.
    """

    stream: Segment
    serial: Count
    stable: ReleaseRef | None = None
    candidate: ReleaseRef | None = None
    cut: dict[str, Cut] = {}
    """Hardware class (`cpu`, `edgetpu`, or `*` for the others) to 16 hexadecimal digits: a device belongs
    to the wave if its position (see `core.update.cohort`) is strictly below. 0 is nobody; 1 and sixteen 0 are
    all."""
    salt: str = ""
    match: tuple[str, ...] = ()
    """All must hold: `key=value`, `key!=value`, or `key=this,that`; keys are `hardware`, `tag` and `id`."""
    rollout: str = ""
    """The rollout that this plan belongs to."""
    paused: bool = False
    """No device begins the candidate; those that have begun it go on."""
    windows: Annotated[tuple[MaintenanceWindow, ...], Meta(max_length=16)] = ()
    """None: at any time. A device's own windows count besides. Closed while its clock is not trusted."""
    urgent: bool = False
    """Whatever window is closed. A local veto holds all the same."""
    rate_bytes_s: Annotated[float, Meta(ge=0.0)] = 0.0
    """How fast a device may download; 0: as fast as the line."""
    spread_s: Annotated[float, Meta(ge=0.0)] = 0.0
    """Devices start at hash-derived instants spread over this time."""
    trial: TrialPolicy = TrialPolicy()
    probation: ProbationPolicy = ProbationPolicy()
    revoked: tuple[HexDigest, ...] = ()
    minimum_agent: str = "0"


class Index(Document, frozen=True, kw_only=True):
    """An unsigned hint of the newest versions, so that "no newer root" needs no time-out.

    A liar can only freeze a device, which expiry bounds.
    """

    root: Count
    timestamp: Count
