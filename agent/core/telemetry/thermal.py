"""Fewer frames when the SoC is hot, before its firmware takes the clock down for everybody.

A controller with hysteresis: from `step_down_at_c` on, the rate goes down by a quarter at a time, measured
from what is really classified; below `step_up_below_c` it goes up again by as much; between the two nothing
changes. After each step it waits for the heat to follow.
"""

from dataclasses import dataclass, replace
from typing import Final

from agent.core.camera.pace import SECOND_NS

STEP: Final = 0.75
DOWN_AFTER_S: Final = 10.0
"""A SoC's case follows its load within some ten seconds."""
UP_AFTER_S: Final = 30.0
"""Slower than down, so that the rate does not swing with the heat."""


@dataclass(frozen=True, slots=True)
class Rules:
    step_down_at_c: float = 80.0
    """0: never."""
    step_up_below_c: float = 72.0
    floor_fps: float = 1.0


@dataclass(frozen=True, slots=True)
class Hold:
    """What classification is held down to; None: nothing."""

    fps_max: float | None = None
    changed_ns: int | None = None
    free_fps: float = 0.0
    """The rate before it was held down."""
    at_c: float = 0.0
    """What the SoC had at the last step."""


def control(hold: Hold, rules: Rules, soc_c: float | None, fps: float, now_ns: int) -> Hold:
    """The hold after one more reading; `fps` is the rate of classification of late.

    A host that does not tell its temperature changes nothing.
    """
    if soc_c is None or rules.step_down_at_c == 0:
        return hold
    if soc_c >= rules.step_down_at_c:
        return _lower(hold, rules, soc_c, fps, now_ns)
    if soc_c < rules.step_up_below_c:
        return _raise(hold, soc_c, now_ns)
    return hold


def reason(hold: Hold, rules: Rules) -> str:
    if hold.fps_max is None:
        return ""
    return (
        f"the SoC had {hold.at_c:.1f} °C: from {rules.step_down_at_c:g} °C on fewer frames are classified, "
        f"below {rules.step_up_below_c:g} °C more again"
    )


def _lower(hold: Hold, rules: Rules, soc_c: float, fps: float, now_ns: int) -> Hold:
    rate = fps if hold.fps_max is None else min(fps, hold.fps_max)
    if not _waited(hold, DOWN_AFTER_S, now_ns) or rate <= rules.floor_fps:
        return hold
    free_fps = fps if hold.fps_max is None else hold.free_fps
    return Hold(max(rules.floor_fps, rate * STEP), now_ns, free_fps, soc_c)


def _raise(hold: Hold, soc_c: float, now_ns: int) -> Hold:
    if hold.fps_max is None or not _waited(hold, UP_AFTER_S, now_ns):
        return hold
    raised = hold.fps_max / STEP
    if raised >= hold.free_fps:
        return Hold(changed_ns=now_ns)
    return replace(hold, fps_max=raised, changed_ns=now_ns, at_c=soc_c)


def _waited(hold: Hold, seconds: float, now_ns: int) -> bool:
    return hold.changed_ns is None or now_ns - hold.changed_ns >= seconds * SECOND_NS
