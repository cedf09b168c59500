"""Why a device runs what it runs: codes that travel in reports, each with one sentence for people."""

from enum import StrEnum


class Reason(StrEnum):
    # held: the wanted release was not begun
    NO_PLAN = "no-plan"
    OUTSIDE_CUT = "outside-cut"
    NOT_MATCHED = "not-matched"
    STALE_METADATA = "stale-metadata"
    UNTRUSTED = "untrusted"
    UNREADABLE = "unreadable"
    CLOCK = "clock"
    KNOWN_BAD = "known-bad"
    REVOKED = "revoked"
    NEEDS_EDGETPU = "needs-edgetpu"
    AGENT_TOO_OLD = "agent-too-old"
    RUNTIME_TOO_OLD = "runtime-too-old"
    LOW_DISK = "low-disk"
    STORE_FAILED = "store-failed"
    WAITING = "waiting"
    PAUSED = "paused"
    WINDOW = "window"
    VETO = "veto"
    UNACCEPTED = "unaccepted"
    # failed: the candidate was begun and refused, or taken back
    DIGEST_MISMATCH = "digest-mismatch"
    LOAD_FAILED = "load-failed"
    CANARY_CRASHED = "canary-crashed"
    CANARY_TIMEOUT = "canary-timeout"
    CRASHED_IN_TRIAL = "crashed-in-trial"
    CONTRACT_MISMATCH = "contract-mismatch"
    LABELS_MISMATCH = "labels-mismatch"
    OUTPUT_NOT_FINITE = "output-not-finite"
    GOLDEN_MISMATCH = "golden-mismatch"
    TOO_SLOW = "too-slow"
    CONSTANT_OUTPUT = "constant-output"
    DISAGREES = "disagrees"
    ACTIVATION_FAILED = "activation-failed"
    WORKER_CRASHED = "worker-crashed"
    RESTARTED_IN_PROBATION = "restarted-in-probation"
    SLOWED_DOWN = "slowed-down"
    INVOKE_ERRORS = "invoke-errors"
    SUPERSEDED = "superseded"


IN_WORDS: dict[Reason, str] = {
    Reason.NO_PLAN: "no rollout plan has been published for this stream",
    Reason.OUTSIDE_CUT: "the device's hash lies outside the cut of this wave",
    Reason.NOT_MATCHED: "the plan's match does not include this device",
    Reason.STALE_METADATA: "the signed metadata has expired; the operator must sign a fresh timestamp",
    Reason.UNTRUSTED: "signatures or versions do not check out against the pinned root of trust",
    Reason.UNREADABLE: "a signed document is malformed or of a newer schema than this agent",
    Reason.CLOCK: "the device's clock cannot be trusted, so expiry cannot be judged",
    Reason.KNOWN_BAD: "this digest has failed on this device before",
    Reason.REVOKED: "the operator has revoked this digest",
    Reason.NEEDS_EDGETPU: "every variant is compiled for an Edge TPU and there is none here",
    Reason.AGENT_TOO_OLD: "the plan needs a newer shoal-agent",
    Reason.RUNTIME_TOO_OLD: "the variant needs a newer TFLite runtime",
    Reason.WAITING: "its turn within the rollout's spread has not come",
    Reason.PAUSED: "the operator has paused the rollout",
    Reason.WINDOW: "no maintenance window is open",
    Reason.VETO: "something on the device asks that nothing be changed now",
    Reason.UNACCEPTED: "it waits for somebody on the device to accept it",
    Reason.LOW_DISK: "the download would leave less free disk than the floor",
    Reason.STORE_FAILED: "the device's disk refuses to be read or written",
    Reason.DIGEST_MISMATCH: "the downloaded file does not have the digest that was signed",
    Reason.LOAD_FAILED: "the runtime refuses to load the model",
    Reason.CANARY_CRASHED: "the process that tried the model was killed by it",
    Reason.CANARY_TIMEOUT: "the trial did not end in time",
    Reason.CRASHED_IN_TRIAL: "the agent itself went down repeatedly during the trial",
    Reason.CONTRACT_MISMATCH: "the model's tensors are not those that the manifest declares",
    Reason.LABELS_MISMATCH: "the number of labels is not the number of classes",
    Reason.OUTPUT_NOT_FINITE: "the model produced NaN or infinity",
    Reason.GOLDEN_MISMATCH: "a golden input did not give its known output within the tolerance",
    Reason.TOO_SLOW: "the model exceeds its latency budget on this device",
    Reason.CONSTANT_OUTPUT: "the model answers the same whatever it sees",
    Reason.DISAGREES: "the model disagrees with the running one on too many live frames",
    Reason.ACTIVATION_FAILED: "the worker could not take the model over after its trial",
    Reason.WORKER_CRASHED: "the worker crashed while the model was on probation",
    Reason.RESTARTED_IN_PROBATION: "the device went down repeatedly while the model was on probation",
    Reason.SLOWED_DOWN: "the model was much slower in service than the one before it",
    Reason.INVOKE_ERRORS: "the model failed on live frames",
    Reason.SUPERSEDED: "another release was asked for before this one was committed",
}
