"""What the supervisor and its children say to each other: length-prefixed MessagePack over a pipe.

The supervisor holds no numpy and no runtime; pixels pass through it as bytes that it does not read.
"""

from datetime import datetime
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from agent.wire.commands import FRAME_MAX_BYTES
from agent.wire.documents import Count, InputContract, OutputContract
from agent.wire.errors import Malformed, TooLarge
from agent.wire.reasons import Reason
from agent.wire.reports import CameraState, Milliseconds, Ranked, StageLatency
from agent.wire.topics import Digest

MESSAGE_MAX_BYTES = 64 * 1024 * 1024
Text = Annotated[str, Meta(max_length=16_384)]
"""What a child says in words: the supervisor publishes and logs it."""
HEADER_BYTES: Final = 4
"""The length of the message that follows, big-endian."""


class EdgeTpu(Struct, frozen=True, kw_only=True):
    """How an Edge TPU is opened. `device` as libedgetpu reads it: empty, `usb`, `pci:0`, ..."""

    library: str = "libedgetpu.so.1"
    device: str = ""
    performance: str = "max"


class ModelSpec(Struct, frozen=True, kw_only=True):
    """Everything a child needs to load and label one variant of a release.

    `labels_path` None: the labels inside the file. `edgetpu` is set where the variant is compiled for one.
    `choice` says in words why it is this variant.
    """

    name: str
    version: str
    manifest: Digest
    digest: Digest
    model_path: str
    labels_path: str | None
    input: InputContract
    output: OutputContract
    runtime: str = "auto"
    threads: int = 1
    edgetpu: EdgeTpu | None = None
    choice: str = ""


# supervisor -> worker


class Serve(Struct, frozen=True, kw_only=True, tag="serve"):
    """Load this model beside the running one and switch to it between two frames."""

    model: ModelSpec
    top: int = 5


class Sample(Struct, frozen=True, kw_only=True, tag="sample"):
    """Hand over the next frame that is predicted, with its prediction."""


class Pace(Struct, frozen=True, kw_only=True, tag="pace"):
    """Classify at most this many frames a second; None: as many as come, 0: none until told otherwise."""

    fps_max: float | None = None


class Snap(Struct, frozen=True, kw_only=True, tag="snap"):
    """Hand over a picture of the newest frame, whether it is classified or not."""

    side_px: int
    max_bytes: int


class Stop(Struct, frozen=True, tag="stop"):
    pass


# worker -> supervisor


class Serving(Struct, frozen=True, kw_only=True, tag="serving"):
    """The model answers from now on; `gap_ms` is what the switch itself cost the frame loop."""

    manifest: Digest
    digest: Digest
    delegate: Text
    delegate_reason: Text
    runtime: Text
    load_ms: Milliseconds
    gap_ms: Milliseconds


class ServeFailed(Struct, frozen=True, kw_only=True, tag="serve-failed"):
    manifest: Digest
    digest: Digest
    reason: Reason
    detail: Text


class Predicted(Struct, frozen=True, kw_only=True, tag="predicted"):
    manifest: Digest
    sequence: Count
    frame: Text
    captured_at: datetime
    predictions: Annotated[tuple[Ranked, ...], Meta(max_length=1_000)]
    latency_ms: StageLatency
    frames: Count
    """Frames that the camera gave since the worker started."""
    frames_dropped: Count
    """Frames that were replaced by a fresher one before the model was free, since the worker started."""


class InvokeFailed(Struct, frozen=True, kw_only=True, tag="invoke-failed"):
    manifest: Digest
    sequence: Count
    detail: Text


class InvokeHangs(Struct, frozen=True, kw_only=True, tag="invoke-hangs"):
    """An invocation on an Edge TPU does not return: only a new process gets past that."""

    manifest: Digest
    detail: Text


class Sampled(Struct, frozen=True, kw_only=True, tag="sampled"):
    sequence: Count
    height_px: int
    width_px: int
    rgb: bytes
    manifest: Digest
    predictions: Annotated[tuple[Ranked, ...], Meta(max_length=1_000)]
    invoke_ms: Milliseconds


class Snapped(Struct, frozen=True, kw_only=True, tag="snapped"):
    jpeg: Annotated[bytes, Meta(max_length=FRAME_MAX_BYTES)]
    height_px: int
    width_px: int
    sequence: Count
    captured_at: datetime


class SnapFailed(Struct, frozen=True, kw_only=True, tag="snap-failed"):
    detail: Text


class CameraTurned(Struct, frozen=True, kw_only=True, tag="camera-turned"):
    """The camera is in another state."""

    state: CameraState
    kind: Text = ""
    """What it is; with `auto`, what was taken."""
    detail: Text = ""
    lasted_s: Annotated[float, Meta(ge=-1e9, le=1e9)] = 0.0
    """How long the state before this one did."""
    stuck: bool = False
    """Its driver does not return: only a new process gets past that."""


# supervisor -> canary


class Prove(Struct, frozen=True, kw_only=True, tag="prove"):
    """Load the candidate and run its golden set, `repeats` times each for the latency."""

    model: ModelSpec
    golden_path: str
    repeats: int = 5


class Shadow(Struct, frozen=True, kw_only=True, tag="shadow"):
    sequence: int
    height_px: int
    width_px: int
    rgb: bytes


class Tune(Struct, frozen=True, kw_only=True, tag="tune"):
    """Measure these models against each other; one that was proven in this process is not loaded again."""

    models: tuple[ModelSpec, ...]
    budget_s: float = 1.5
    """For all invocations together."""


# canary -> supervisor


class GoldenFinding(Struct, frozen=True, kw_only=True):
    """How one golden case came out: expected and found best class and the scores of the expected classes."""

    expected: tuple[tuple[int, float], ...]
    found_top: int
    found: tuple[float, ...]
    finite: bool


class Findings(Struct, frozen=True, kw_only=True, tag="findings"):
    """What the canary saw; the supervisor judges it."""

    manifest: Digest
    delegate: Text
    delegate_reason: Text
    runtime: Text
    classes: int
    labels: int | None
    """Lines in the label file; None where the release has none."""
    contract_fault: Text | None
    """In words, how the model's tensors differ from the manifest's contract."""
    golden: tuple[GoldenFinding, ...]
    load_ms: Milliseconds
    invoke_ms: tuple[Milliseconds, ...]


class ProveFailed(Struct, frozen=True, kw_only=True, tag="prove-failed"):
    manifest: Digest
    reason: Reason
    detail: Text


class Shadowed(Struct, frozen=True, kw_only=True, tag="shadowed"):
    sequence: Count
    predictions: Annotated[tuple[Ranked, ...], Meta(max_length=1_000)]
    invoke_ms: Milliseconds
    finite: bool


class Tuned(Struct, frozen=True, kw_only=True, tag="tuned"):
    invoke_ms: tuple[Milliseconds | None, ...]
    """Of each model that was asked for, in that order; None: it could not be loaded, or time was up."""


ToWorker = Serve | Sample | Pace | Snap | Stop
FromWorker = (
    Serving
    | ServeFailed
    | Predicted
    | InvokeFailed
    | InvokeHangs
    | Sampled
    | CameraTurned
    | Snapped
    | SnapFailed
)
ToCanary = Prove | Shadow | Tune | Stop
FromCanary = Findings | ProveFailed | Shadowed | Tuned

Message = ToWorker | FromWorker | ToCanary | FromCanary
M = TypeVar("M")

encoder = msgspec.msgpack.Encoder()
to_worker = msgspec.msgpack.Decoder(ToWorker)
from_worker = msgspec.msgpack.Decoder(FromWorker)
to_canary = msgspec.msgpack.Decoder(ToCanary)
from_canary = msgspec.msgpack.Decoder(FromCanary)


def pack(message: Message) -> bytes:
    """The message behind its header.

    Raises:
        TooLarge: the other side would refuse it.
    """
    body = encoder.encode(message)
    if len(body) > MESSAGE_MAX_BYTES:
        raise TooLarge(
            f"{type(message).__name__} is {len(body)} bytes, at most {MESSAGE_MAX_BYTES} fit the pipe"
        )
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def body_bytes(header: bytes) -> int:
    """How many bytes of message follow this header.

    Raises:
        TooLarge: more than a message may have: the stream is corrupt.
    """
    length = int.from_bytes(header, "big")
    if length > MESSAGE_MAX_BYTES:
        raise TooLarge(f"the pipe announces {length} bytes, at most {MESSAGE_MAX_BYTES} are accepted")
    return length


def unpack(body: bytes, decoder: msgspec.msgpack.Decoder[M]) -> M:
    """
    Raises:
        Malformed: these bytes are none of the messages that the decoder knows.
    """
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"message on the pipe: {error}") from error
