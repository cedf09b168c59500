"""Envelopes that the holders of a delegated role's keys signed.

The keys are those that verified metadata delegates to; an envelope only names which of them it claims.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec
from securesystemslib.dsse import Envelope as Dsse
from securesystemslib.signer import Signature
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from agent.wire.commands import ENVELOPE_MAX_BYTES, PAYLOAD_TYPE, Envelope
from agent.wire.errors import Malformed, TooLarge, Untrusted


@dataclass(frozen=True, slots=True)
class Delegator:
    """The metadata that was verified last, as far as it says who may sign envelopes, and until when."""

    root: Root
    timestamp: Timestamp
    targets: Targets
    expires: datetime

    @classmethod
    def of(cls, root: Root, timestamp: Timestamp, snapshot: Snapshot, targets: Targets) -> "Delegator":
        return cls(
            root, timestamp, targets, min(each.expires for each in (root, timestamp, snapshot, targets))
        )

    def opened(self, content: bytes, role: str) -> bytes:
        """The payload of a command's envelope, undecoded.

        Raises:
            TooLarge, Malformed: it is no envelope of a command.
            Untrusted: too few of the role's keys have signed it.
        """
        envelope = _decoded(content)
        signatures: dict[str, Signature] = {
            each.keyid: Signature(each.keyid, each.sig.hex()) for each in envelope.signatures
        }
        signed = Dsse(envelope.payload, envelope.payload_type, signatures).pae()
        try:
            self.targets.verify_delegate(role, signed, signatures)
        except (UnsignedMetadataError, ValueError) as error:
            raise Untrusted(f"the command is not signed by the keys of {role}: {error}") from error
        return envelope.payload


def _decoded(content: bytes) -> Envelope:
    if len(content) > ENVELOPE_MAX_BYTES:
        raise TooLarge(f"command is {len(content)} bytes, at most {ENVELOPE_MAX_BYTES} are accepted")
    try:
        envelope = msgspec.json.decode(content, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"command: {error}") from error
    if envelope.payload_type != PAYLOAD_TYPE:
        raise Malformed(
            f"command: payload of type {envelope.payload_type[:80]!r}, {PAYLOAD_TYPE!r} is needed"
        )
    return envelope
