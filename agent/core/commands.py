"""Which signed commands a device obeys.

A command is obeyed once: its id is remembered, on disk, until it has expired. What was forgotten stays
refused even if the clock is set back later, because nothing that expires before the latest of the forgotten
is taken any more.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from agent.wire.commands import LIFE_MAX, Command, CommandId, Refusal
from agent.wire.documents import Instant

SKEW: Final = timedelta(seconds=60)
"""By which the clocks of operator and device may differ."""
WINDOW_S: Final = 60.0


class Memory(Struct, frozen=True, kw_only=True):
    """The commands that were obeyed."""

    ids: dict[CommandId, Instant] = {}
    """Until when each holds."""
    closed_until: Instant | None = None
    """Nothing that expires before this is taken."""


@dataclass(frozen=True, slots=True)
class Judge:
    """What a device knows when a command comes."""

    device: str
    pipelines: frozenset[str]
    now: datetime
    clock_trusted: bool
    stale: str
    """Why the keys that signed it are not trusted at the moment; empty if they are."""


@dataclass(frozen=True, slots=True)
class Refused:
    reason: Refusal
    detail: str = ""


def lost(now: datetime) -> Memory:
    """The memory of a device that had one which cannot be read: whatever may have been in it is refused."""
    return Memory(closed_until=now + LIFE_MAX + SKEW)


def admit(command: Command, memory: Memory, judge: Judge) -> Memory | Refused:
    """The memory that must be on disk before the command is obeyed, or why it is not obeyed.

    Args:
        command: verified and decoded.
        memory: of what was obeyed before.
        judge: the device, and its clock.
    """
    refused = _misdirected(command, judge) or _untimely(command, memory, judge)
    if refused is not None:
        return refused
    if command.id in memory.ids:
        return Refused(Refusal.REPLAYED)
    return _remember(command, memory, judge.now)


def _misdirected(command: Command, judge: Judge) -> Refused | None:
    if command.device != judge.device:
        return Refused(Refusal.OTHER_DEVICE, f"{command.device}, and this is {judge.device}")
    if command.pipeline not in judge.pipelines:
        return Refused(
            Refusal.NO_SUCH_PIPELINE, f"{command.pipeline}; there are {', '.join(sorted(judge.pipelines))}"
        )
    return None


def _untimely(command: Command, memory: Memory, judge: Judge) -> Refused | None:
    if judge.stale:
        return Refused(Refusal.STALE, judge.stale)
    if not judge.clock_trusted:
        return Refused(Refusal.CLOCK, "set the clock, or let it follow a time server")
    if not timedelta(0) < command.expires_at - command.issued_at <= LIFE_MAX:
        return Refused(
            Refusal.TOO_LONG,
            f"{(command.expires_at - command.issued_at).total_seconds():g} s, more than 0 and at most "
            f"{LIFE_MAX.total_seconds():g} are accepted",
        )
    if command.issued_at > judge.now + SKEW:
        return Refused(
            Refusal.FROM_THE_FUTURE, f"signed at {_said(command.issued_at)}, here it is {_said(judge.now)}"
        )
    closed = memory.closed_until
    if command.expires_at <= judge.now or (closed is not None and command.expires_at <= closed):
        return Refused(
            Refusal.EXPIRED, f"it held until {_said(command.expires_at)}, here it is {_said(judge.now)}"
        )
    return None


def _remember(command: Command, memory: Memory, now: datetime) -> Memory:
    past = {known: until for known, until in memory.ids.items() if until <= now}
    kept = {known: until for known, until in memory.ids.items() if until > now}
    return Memory(
        ids={**kept, command.id: command.expires_at},
        closed_until=max((*past.values(), *_known(memory.closed_until)), default=None),
    )


def _known(instant: datetime | None) -> Iterable[datetime]:
    return () if instant is None else (instant,)


def _said(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


class Allowance:
    """So many within any minute, by a clock that only goes forward."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._taken_s: list[float] = []

    def take(self, now_s: float) -> bool:
        """Whether one more is allowed now; it counts then."""
        self._taken_s = [at_s for at_s in self._taken_s if now_s - at_s < WINDOW_S]
        if len(self._taken_s) >= self.per_minute:
            return False
        self._taken_s.append(now_s)
        return True
