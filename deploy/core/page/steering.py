"""A rollout as the page tells it: where it stands, its gate's evidence, and what can be ordered now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agent.wire.documents import ReleaseRef
from deploy.core import history
from deploy.core.devices.outlook import Outlook, WaveState, WaveView
from deploy.core.devices.why import wave_words
from deploy.core.history import Told
from deploy.core.page.words import LINES_MAX, NAMED_MAX, Brief, Gate, RolloutNow, Signing, WaveNow
from deploy.core.rollouts import approvals
from deploy.core.rollouts.state import Rollout
from deploy.core.rollouts.tally import Standing
from deploy.core.rollouts.words import Judgement, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Beside:
    """What the ledger and the workspace say of a rollout besides its state."""

    by: str
    """Who began it."""
    newest: bool
    """No other has begun in its stream since: only then can it be taken back once it has ended."""
    keys: tuple[str, ...]
    """That count for approvals."""
    history: Sequence[Told]
    """The oldest first."""
    note: str = ""


def brief(found: Outlook, by: str) -> Brief:
    rollout, order = found.rollout, found.rollout.order
    judged = found.judgement
    return Brief(
        name=rollout.name,
        stream=order.stream,
        release=_named(order.release),
        stable=_named(order.stable),
        state=_state(rollout),
        words=_words(found),
        wave=rollout.wave,
        waves=order.waves,
        started_at=rollout.started_at,
        by=by,
        outcome=rollout.outcome,
        verdict=None if judged is None else judged.verdict,
        exposed=found.let_in if rollout.aborted is not None else len(found.standings),
        standings={str(each): count for each, count in found.totals.items()},
        back=found.back,
    )


def told(found: Outlook, beside: Beside) -> RolloutNow:
    rollout = found.rollout
    order = rollout.order
    return RolloutNow(
        at=found.at,
        brief=brief(found, beside.by),
        match=order.match,
        policy=order.policy,
        salt=order.salt,
        waves=tuple(_wave(number, view, rollout) for number, view in enumerate(found.waves)),
        gate=None if found.judgement is None else gate(found.judgement),
        judged_at=rollout.judged_at,
        withdrawn=rollout.withdrawn,
        bytes_left=found.bytes_left,
        loading=found.loading,
        may=possible(rollout, newest=beside.newest),
        signing=signing(rollout, beside.keys),
        history=tuple(beside.history[: -LINES_MAX - 1 : -1]),
        note=beside.note,
    )


def gate(judged: Judgement) -> Gate:
    tally = judged.tally
    return Gate(
        verdict=judged.verdict,
        words=judged.words or "nothing speaks against it",
        findings=judged.findings,
        counted={name: count for name, count in history.counted(tally).items() if count},
        failed=tuple(str(each) for each in (*tally.failed, *tally.silent)[:NAMED_MAX]),
    )


def possible(rollout: Rollout, *, newest: bool) -> tuple[str, ...]:
    """What an order would not be refused for at once, in the order in which people look for it."""
    going = rollout.outcome is None and rollout.aborted is None
    judged = rollout.judgement
    unsigned = bool(approvals.awaited(rollout))
    free = going and rollout.plan is not None and not rollout.paused and not unsigned
    can = {
        "pause": going and not rollout.paused,
        "resume": going and rollout.paused,
        "promote": free and judged is not None and judged.verdict is Verdict.PROMOTE,
        "force": free,
        "approve": going and unsigned,
        "revert": _undoable(rollout, newest=newest),
        "abort": _undoable(rollout, newest=newest),
    }
    return tuple(verb for verb, possible in can.items() if possible)


def signing(rollout: Rollout, keys: Collection[str]) -> Signing | None:
    """What the next wave lacks; None: no signature."""
    wave = rollout.wave + 1
    over = rollout.outcome is not None or rollout.aborted is not None
    if over or wave >= len(rollout.order.waves):
        return None
    missing = approvals.lacking(rollout.order, wave, rollout.approved.get(wave, ()))
    if not missing:
        return None
    content = approvals.approval_bytes(rollout.order, wave).decode()
    return Signing(wave=rollout.order.waves[wave], missing=missing, content=content, keys=tuple(keys))


def _undoable(rollout: Rollout, *, newest: bool) -> bool:
    return newest and rollout.outcome is not Outcome.REVERTED and rollout.aborted is None


def _state(rollout: Rollout) -> str:
    if rollout.outcome is not None:
        return str(rollout.outcome)
    if rollout.aborted is not None:
        return "going-back"
    if rollout.paused:
        return "paused"
    return "waiting" if rollout.plan is None else "running"


def _words(found: Outlook) -> str:
    rollout = found.rollout
    match rollout.outcome:
        case Outcome.COMPLETED:
            return "completed: it became the stable release"
        case Outcome.REVERTED:
            return f"{_taken_back(found)}{_because(rollout.aborted)}"
        case None if rollout.aborted is not None:
            return f"is being taken back{_because(rollout.aborted)}"
        case None if rollout.plan is None:
            return _unsigned(rollout) or "has not begun"
        case None:
            return _under_way(found)


def _under_way(found: Outlook) -> str:
    rollout, judged = found.rollout, found.judgement
    if rollout.paused:
        return f"{wave_words(rollout, rollout.wave)}, paused: those that have begun go on"
    if judged is not None and judged.words == approvals.awaited(rollout) != "":
        return f"{wave_words(rollout, rollout.wave)}: {_unsigned(rollout)}"
    said = "" if judged is None else f": {judged.verdict}, {judged.words or 'nothing speaks against it'}"
    return f"{wave_words(rollout, rollout.wave)}{said}"


def _unsigned(rollout: Rollout) -> str:
    """In the words of a page, where nobody types a command."""
    return approvals.awaited(rollout).partition(": shoal")[0]


def _taken_back(found: Outlook) -> str:
    if not found.let_in:
        return "taken back"
    return f"taken back: {found.back} of {found.let_in} devices serve what was stable"


def _because(why: str | None) -> str:
    return f" ({why})" if why else ""


def _wave(number: int, view: WaveView, rollout: Rollout) -> WaveNow:
    turn = rollout.turns[number] if number < len(rollout.turns) else None
    out = view.state is not WaveState.COMING
    needed = approvals.lacking(rollout.order, number, ())
    return WaveNow(
        label=view.label,
        state=view.state,
        devices=view.devices,
        standings=_by_name(view.standings),
        begun_at=turn.at if turn is not None and out else None,
        signatures=needed,
        signed=len(rollout.approved.get(number, ())),
    )


def _by_name(standings: Mapping[Standing, int]) -> dict[str, int]:
    return {str(each): count for each, count in standings.items()}


def _named(ref: ReleaseRef | None) -> str:
    return "" if ref is None else f"{ref.name}@{ref.version}"
