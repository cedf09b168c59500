"""The one code that says what holds a device, or how far it has come, and what a person can do about it."""

from enum import StrEnum
from typing import Final

from agent.wire.reasons import Reason


class Cause(StrEnum):
    """What no device can say of itself, or what holds nobody up."""

    SERVING_CANDIDATE = "serving-candidate"
    SERVING_STABLE = "serving-stable"
    TAKEN_BACK = "taken-back"
    """Its rollout or its hardware class was, and it serves what was stable."""
    DOWNLOADING = "downloading"
    IN_TRIAL = "in-trial"
    ON_PROBATION = "on-probation"
    PENDING = "pending"
    """It has seen the plan, and has neither begun nor said what holds it."""
    PLAN_NOT_SEEN = "plan-not-seen"
    OFFLINE = "offline"
    NEVER_SEEN = "never-seen"
    EXPELLED = "expelled"
    NOT_BELIEVED = "not-believed"


Code = Reason | Cause

AS_MEANT: Final = frozenset({Cause.SERVING_CANDIDATE, Cause.SERVING_STABLE, Cause.TAKEN_BACK})
"""The device runs what the plan gives it."""
ON_ITS_WAY: Final = frozenset(
    {
        Reason.WAITING,
        Cause.DOWNLOADING,
        Cause.IN_TRIAL,
        Cause.ON_PROBATION,
        Cause.PENDING,
        Cause.PLAN_NOT_SEEN,
    }
)
"""What a device that is offline does not go on with."""
BLIND: Final = frozenset({Reason.STALE_METADATA, Reason.UNTRUSTED, Reason.UNREADABLE, Reason.STORE_FAILED})
"""With these a device cannot take a newer plan, so they explain that it has not."""

REMEDY: Final[dict[Code, str]] = {
    Reason.NO_PLAN: "start one: shoal rollout start RELEASE",
    Reason.OUTSIDE_CUT: "nothing, its wave comes; shoal rollout promote does not wait for the gate",
    Reason.NOT_MATCHED: "nothing, if that is meant; else tag it, or start a rollout with another --match",
    Reason.STALE_METADATA: "shoal sign, or let shoal serve run: it signs a fresh timestamp every day",
    Reason.UNTRUSTED: "look whether its root.json is this fleet's, then shoal publish",
    Reason.UNREADABLE: "upgrade shoal-agent on the device",
    Reason.CLOCK: "let the device reach a time server; it goes on by itself",
    Reason.KNOWN_BAD: "release a mended version: a digest that failed on a device is never begun there again",
    Reason.REVOKED: "release a new version: what was revoked stays refused",
    Reason.NEEDS_EDGETPU: "release a CPU variant beside the compiled one, or see to the device's Edge TPU",
    Reason.AGENT_TOO_OLD: "upgrade shoal-agent on the device",
    Reason.RUNTIME_TOO_OLD: "upgrade the TFLite runtime on the device",
    Reason.LOW_DISK: "free space on the device; it goes on by itself",
    Reason.STORE_FAILED: "see to the device's card: it may be worn out, full or read-only",
    Reason.WAITING: "nothing, its turn comes",
    Reason.PAUSED: "shoal rollout resume",
    Reason.WINDOW: "wait for the window, or order the rollout with urgent = true in its policy",
    Reason.VETO: "end what vetoes on the device; a veto holds whatever the plan says",
    Reason.UNACCEPTED: "let somebody accept it: shoal-agent accept there, on its page, or in Home Assistant",
    Cause.PLAN_NOT_SEEN: "wait a minute; then see whether it reaches the broker, and shoal publish",
    Cause.PENDING: "wait a minute; then read the device's log: shoal command DEVICE log",
    Cause.OFFLINE: "see to its power and its network",
    Cause.NEVER_SEEN: "see whether shoal-agent runs there, and whether its configuration names this broker",
    Cause.EXPELLED: "shoal enrol it again, if it is to come back",
    Cause.NOT_BELIEVED: "shoal enrol it again: what is not sealed with its key may be anybody's",
}
_FAILED: Final = "release a mended version; shoal command DEVICE log has the device's own words"


def remedy(code: Code) -> str:
    """What a person can do; empty where there is nothing to do."""
    return "" if code in AS_MEANT else REMEDY.get(code, _FAILED if isinstance(code, Reason) else "")
