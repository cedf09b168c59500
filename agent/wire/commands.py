"""What an operator asks of one device, and what the device answers.

A command travels as the payload of a signed envelope (DSSE, https://github.com/secure-systems-lab/dsse,
protocol.md and envelope.md of version 1.0.2); the answer is a plain document: it reveals nothing that the
device's other topics do not, and decides nothing.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from agent.wire.documents import Count, Document, HexDigest, Instant, Segment
from agent.wire.reports import Capabilities
from agent.wire.topics import MAIN

PAYLOAD_TYPE: Final = "application/vnd.shoal.command+json"
"""Signed along with the payload, so that no other thing that the same key signs can pass for a command."""
ENVELOPE_MAX_BYTES: Final = 4_096
FRAME_MAX_BYTES: Final = 131_072
"""Of the JPEG on the topic `frame`."""
LINES_MAX: Final = 400
LINE_MAX_CHARS: Final = 400
LIFE_MAX: Final = timedelta(minutes=10)
"""How long a command may hold: a device remembers the ids of so long."""

CommandId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]


class Frame(Struct, frozen=True, kw_only=True, tag="frame"):
    """Publish the newest frame, no side of it longer than this."""

    side_px: Annotated[int, Meta(ge=16, le=4096)] = 640


class Log(Struct, frozen=True, kw_only=True, tag="log"):
    """The newest lines of the agent's log."""

    lines: Annotated[int, Meta(ge=1, le=LINES_MAX)] = 100


class Check(Struct, frozen=True, tag="check"):
    """Examine the machine, as `shoal-agent check` does."""


class Look(Struct, frozen=True, tag="look"):
    """Look at the accelerators anew, and measure anew which of them serves best."""


class Pause(Struct, frozen=True, tag="pause"):
    """Classify nothing until told to resume, or until the agent starts again."""


class Resume(Struct, frozen=True, tag="resume"):
    pass


Action = Frame | Log | Check | Look | Pause | Resume


class Command(Document, frozen=True, kw_only=True):
    id: CommandId
    """Drawn at random; a device takes each only once."""
    device: Segment
    pipeline: Segment = MAIN
    issued_at: Instant
    expires_at: Instant
    action: Action


class EnvelopeSignature(Struct, frozen=True, kw_only=True):
    keyid: HexDigest
    sig: bytes


class Envelope(Struct, frozen=True, kw_only=True, rename={"payload_type": "payloadType"}):
    """DSSE's JSON: `payload` and each `sig` are base64."""

    payload: bytes
    payload_type: str
    signatures: Annotated[tuple[EnvelopeSignature, ...], Meta(min_length=1, max_length=8)]


class Refusal(StrEnum):
    """Why a signed command was not obeyed."""

    STALE = "stale"
    CLOCK = "clock"
    OTHER_DEVICE = "other-device"
    EXPIRED = "expired"
    FROM_THE_FUTURE = "from-the-future"
    TOO_LONG = "too-long"
    REPLAYED = "replayed"
    TOO_MANY = "too-many"
    NO_SUCH_PIPELINE = "no-such-pipeline"
    UNREADABLE = "unreadable"
    BUSY = "busy"
    STORE_FAILED = "store-failed"
    FAILED = "failed"


IN_WORDS: Final[dict[Refusal, str]] = {
    Refusal.STALE: "the device's signed metadata has expired, so it knows no key that may command it; sign a "
    "fresh timestamp",
    Refusal.CLOCK: "the device's clock cannot be trusted, so it cannot judge how old a command is",
    Refusal.OTHER_DEVICE: "the command is for another device",
    Refusal.EXPIRED: "the command has expired",
    Refusal.FROM_THE_FUTURE: "the command was signed in the future: one of the two clocks is wrong",
    Refusal.TOO_LONG: "the command holds for longer than a device remembers commands",
    Refusal.REPLAYED: "the command was obeyed before",
    Refusal.TOO_MANY: "the device takes only so many commands a minute",
    Refusal.NO_SUCH_PIPELINE: "the device has no pipeline of this name",
    Refusal.UNREADABLE: "the command is malformed or of a newer schema than this agent",
    Refusal.BUSY: "the device is still at work on a command of this kind",
    Refusal.STORE_FAILED: "the device's disk refuses, so it could not remember the command",
    Refusal.FAILED: "the command was accepted, and what it asked for could not be done",
}


class FrameSent(Struct, frozen=True, kw_only=True, tag="frame"):
    """The JPEG with this digest was published just before, on the pipeline's topic `frame`."""

    digest: HexDigest
    length: Count
    height_px: Count
    width_px: Count
    sequence: Count
    captured_at: Instant


class Lines(Struct, frozen=True, kw_only=True, tag="log"):
    lines: tuple[str, ...]


class Finding(Struct, frozen=True, kw_only=True):
    name: str
    severity: str
    cause: str = ""
    remedy: str = ""


class Checked(Struct, frozen=True, kw_only=True, tag="check"):
    """What `shoal-agent check` found; `status` is its exit status: 0, it can serve; 78, a person must act."""

    status: int
    findings: tuple[Finding, ...]


class Looked(Struct, frozen=True, kw_only=True, tag="look"):
    """What serves at the moment, why, and on what hardware; it is measured anew, which may change it."""

    delegate: str
    delegate_reason: str
    capabilities: Capabilities = Capabilities()


class Paced(Struct, frozen=True, kw_only=True, tag="paced"):
    paused: bool


Result = FrameSent | Lines | Checked | Looked | Paced


class Answer(Document, frozen=True, kw_only=True):
    """Either `result`, or `refused` and in words why."""

    id: CommandId | None
    """Of the command; None where it could not be read."""
    at: Instant
    pipeline: str = MAIN
    refused: Refusal | None = None
    detail: str = ""
    result: Result | None = None
