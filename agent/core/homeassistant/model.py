"""What the update entity of a pipeline shows."""

import re
from typing import Final

from agent.core.page.words import Offered
from agent.core.update.lifecycle import Fetching, Fitted, Idle, Probation, State, Trial
from agent.wire.homeassistant import NOTHING, SUMMARY_CHARS, ModelState
from agent.wire.reasons import IN_WORDS
from agent.wire.reports import Outcome, Report

WAITS: Final = "It waits to be accepted."
ACCEPTED: Final = "It is accepted."
TRIED: Final = "It is being tried beside the model that serves."
TRIED_FIRST: Final = "It is being tried."
_NUMBERS: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})*")


def model_state(
    state: State, report: Report, offered: Offered | None, coming: Offered | None = None
) -> ModelState:
    """Installed is what has committed: a release on probation is still on its way in.

    Args:
        state: of the lifecycle.
        report: tells how far a download is, and how the last update ended.
        offered: what waits to be accepted.
        coming: what was accepted, and has not begun yet.
    """
    match state:
        case Fetching(active=active, candidate=candidate):
            return _told(active, candidate, "", percentage=_percentage(report))
        case Trial(active=active, candidate=candidate):
            return _told(active, candidate, TRIED_FIRST if active is None else TRIED)
        case Probation(active=active, fallback=fallback, need=need):
            said = f"It serves on probation, and is kept after {need} healthy windows."
            return _told(fallback, active, said)
        case Idle(active=active) if offered is not None:
            return _still(active, offered, WAITS)
        case Idle(active=active) if coming is not None:
            return _told(active, coming, _held(report))
        case Idle(active=active):
            return _still(active, active, _last(report))


def _told(
    installed: Fitted | None, coming: Fitted | Offered, summary: str, *, percentage: int | None = None
) -> ModelState:
    return ModelState(
        installed_version=_version(installed),
        latest_version=_beside(installed, coming),
        title=coming.name,
        release_summary=summary,
        in_progress=True,
        update_percentage=percentage,
    )


def _still(installed: Fitted | None, latest: Fitted | Offered | None, summary: str) -> ModelState:
    return ModelState(
        installed_version=_version(installed),
        latest_version=NOTHING if latest is None else _beside(installed, latest),
        title="" if latest is None else latest.name,
        release_summary=summary,
        in_progress=False,
        update_percentage=None,
    )


def _version(installed: Fitted | None) -> str:
    return NOTHING if installed is None else installed.version


def _beside(installed: Fitted | None, other: Fitted | Offered) -> str:
    """Its version; with its name, where Home Assistant would not take that for an update to this one. It
    knows an update by its version alone, takes a lower one for none, and whatever it cannot compare for one.
    """
    if installed is None or installed.manifest == other.manifest:
        return other.version
    follows = installed.name == other.name and _is_newer(other.version, installed.version)
    return other.version if follows else f"{other.name} {other.version}"


def _is_newer(version: str, than: str) -> bool:
    """Whether it surely is: of dates and hashes nobody knows."""
    if not (_NUMBERS.fullmatch(version) and _NUMBERS.fullmatch(than)):
        return False
    return _numbers(version) > _numbers(than)


def _numbers(version: str) -> tuple[int, ...]:
    """1.2 is 1.2.0."""
    return tuple(int(each) for each in re.sub(r"(\.0+)+$", "", version).split("."))


def _percentage(report: Report) -> int:
    coming = report.candidate
    if coming is None or not coming.bytes_total:
        return 0
    return min(100, coming.bytes_done * 100 // coming.bytes_total)


def _held(report: Report) -> str:
    """Why what was accepted does not begin."""
    if report.reason is None:
        return ACCEPTED
    said = f"{ACCEPTED[:-1]}, and held: {IN_WORDS[report.reason]}"
    return _whole(f"{said}: {report.detail}" if report.detail else said)


def _last(report: Report) -> str:
    """How an update ended that was not kept."""
    last = report.last
    if last is None or last.outcome is Outcome.COMMITTED:
        return ""
    why = f": {IN_WORDS[last.reason]}" if last.reason is not None else ""
    return _whole(f"{last.name} {last.version} was {last.outcome.value}{why}")


def _whole(words: str) -> str:
    return f"{words}." if len(words) < SUMMARY_CHARS else f"{words[: SUMMARY_CHARS - 1]}…"
