"""What a device remembers against digests: failures here, and the operator's revocations."""

from typing import Final

from msgspec import Struct

from agent.wire.reasons import Reason
from agent.wire.topics import Digest

KNOWN_BAD_MAX: Final = 256
"""Failures that are remembered. Revocations come on top: they are never forgotten."""

BLAMES_MANIFEST: Final = frozenset(
    {Reason.CONTRACT_MISMATCH, Reason.LABELS_MISMATCH, Reason.GOLDEN_MISMATCH, Reason.DIGEST_MISMATCH}
)
"""Failures that a new manifest for the same file can mend: they condemn the manifest, not the file."""

FORGIVEN: Final = frozenset({Reason.NEEDS_EDGETPU})
"""What a later start or another plug can mend: remembered so that loops are bounded, until then."""

OF_THE_PROGRAM: Final = frozenset(
    {
        Reason.LOAD_FAILED,
        Reason.CANARY_CRASHED,
        Reason.CANARY_TIMEOUT,
        Reason.CRASHED_IN_TRIAL,
        Reason.OUTPUT_NOT_FINITE,
        Reason.GOLDEN_MISMATCH,
        Reason.TOO_SLOW,
        Reason.ACTIVATION_FAILED,
        Reason.WORKER_CRASHED,
        Reason.RESTARTED_IN_PROBATION,
        Reason.INVOKE_ERRORS,
    }
)
"""What a broken program does to any model, and another one mends: remembered while this one runs."""

EXONERATES: Final = frozenset({Reason.SUPERSEDED, Reason.REVOKED, Reason.LOW_DISK})
"""Ends that say nothing against the candidate, or nothing that is not remembered already."""


class Bad(Struct, frozen=True, array_like=True):
    digest: Digest
    reason: Reason


Known = tuple[Bad, ...]


def against(known: Known, digests: tuple[Digest, ...]) -> Reason | None:
    """REVOKED if one of the digests is, KNOWN_BAD if one has failed here, NEEDS_EDGETPU if it only lacked
    its Edge TPU, None if there is nothing.
    """
    reasons = {bad.reason for bad in known if bad.digest in digests}
    if not reasons:
        return None
    if Reason.REVOKED in reasons:
        return Reason.REVOKED
    return Reason.NEEDS_EDGETPU if reasons <= FORGIVEN else Reason.KNOWN_BAD


def condemn(
    known: Known, reason: Reason, *, manifest: Digest, variant: Digest, twin: Digest | None = None
) -> Known:
    """The memory after a release has failed for this reason. Where it has a twin, that is left to try, so
    that only the variant is condemned.
    """
    if reason in EXONERATES:
        return known
    blames_manifest = reason in BLAMES_MANIFEST and twin is None
    return _remember(known, Bad(manifest if blames_manifest else variant, reason))


def forgive(known: Known, *, program_changed: bool = False) -> Known:
    """The memory after the agent has started, or the hardware has changed."""
    mended = FORGIVEN | OF_THE_PROGRAM if program_changed else FORGIVEN
    return tuple(bad for bad in known if bad.reason not in mended)


def revoke(known: Known, digests: tuple[Digest, ...]) -> Known:
    for digest in digests:
        known = _remember(known, Bad(digest, Reason.REVOKED))
    return known


def _remember(known: Known, new: Bad) -> Known:
    """The first failure of a digest stays its reason, a revocation overrules it; beyond the bound the
    oldest failures are forgotten.
    """
    old = next((bad for bad in known if bad.digest == new.digest), None)
    if old is not None and (old.reason is Reason.REVOKED or new.reason is not Reason.REVOKED):
        return known
    kept = [bad for bad in known if bad is not old]
    failures = [bad for bad in (*kept, new) if bad.reason is not Reason.REVOKED]
    forgotten = failures[:-KNOWN_BAD_MAX]
    return tuple(bad for bad in (*kept, new) if bad not in forgotten)
