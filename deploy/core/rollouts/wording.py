"""What the ledger holds, in one line of words each."""

from deploy.core.rollouts.words import (
    Aborted,
    AnyEntry,
    Approved,
    ClassWithdrawn,
    Ended,
    Enrolled,
    Expelled,
    Forced,
    Judged,
    Line,
    Paused,
    Reasserted,
    Renewed,
    Resumed,
    Started,
    Steered,
    TookOver,
)


def line(of: Line) -> str:
    """When, who, what and why."""
    return f"{of.number:>5}  {of.at:%Y-%m-%d %H:%M:%S}  {of.entry.by:<12}  {entry(of.entry)}"


def entry(of: AnyEntry) -> str:
    match of:
        case Reasserted() | Renewed() | TookOver() | Enrolled() | Expelled():
            return _of_fleet(of)
        case Started(order=order):
            release = f"{order.release.name}@{order.release.version}"
            return f"{order.rollout}: {release} on stream {order.stream} in waves {', '.join(order.waves)}"
        case Judged(rollout=name, wave=wave, judgement=judgement):
            return f"{name}: wave {wave + 1}: {judgement.verdict}: {judgement.words}"
        case Steered(rollout=name, plan=plan, why=why):
            return f"{name}: plan {plan.serial}: {why}"
        case Approved(rollout=name, wave=wave, key=key):
            return f"{name}: wave {wave + 1} is signed for by {key[:16]}"
        case Ended(rollout=name, outcome=outcome):
            return f"{name}: {outcome}"
        case _:
            return _ordered(of)


def _ordered(of: Paused | Resumed | Forced | Aborted | ClassWithdrawn) -> str:
    return f"{of.rollout}: {_what(of)}{f': {of.why}' if of.why else ''}"


def _what(of: Paused | Resumed | Forced | Aborted | ClassWithdrawn) -> str:
    match of:
        case Paused():
            return "paused"
        case Resumed():
            return "resumed"
        case Forced(wave=wave):
            return f"the gate after wave {wave + 1} is passed by force"
        case Aborted(revoke=revoke):
            return "aborted and revoked" if revoke else "aborted"
        case ClassWithdrawn(hardware=hardware):
            return f"taken back from {hardware}"


def _of_fleet(of: Reasserted | Renewed | TookOver | Enrolled | Expelled) -> str:
    match of:
        case Reasserted(timestamp=timestamp, why=why):
            return f"everything up to timestamp {timestamp} is published anew: {why}"
        case Renewed(timestamp=timestamp):
            return f"timestamp {timestamp} is signed"
        case TookOver(controller=controller, why=why):
            return f"controller {controller} begins{f': {why}' if why else ''}"
        case Enrolled(device=device, tags=tags):
            tagged = f" with tags {', '.join(tags)}" if tags else ""
            return f"{device} is enrolled{tagged}"
        case Expelled(device=device, why=why):
            return f"{device} is expelled: {why}"
