"""What stands in for a model on an Edge TPU, and who is to blame when such a model ends its process.

libedgetpu aborts the whole process when a transfer fails, as a corrupt model does: the two are told apart by
whether the Edge TPU can be opened afterwards.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.wire.ipc import ModelSpec

GUILTY_MAX: Final = 3
"""A compiled model that has ended the worker this often is not brought back until the agent starts anew."""
SPELLS_FORGIVEN: Final = 1
"""Aborts and hangs in a row with the Edge TPU there again at once, before they count against the model: a
stick that lost its power for a moment is back before anybody can look."""
CALM_S: Final = 600.0
"""A model that has served on its Edge TPU for this long has left its failures there behind."""
LOOK_FIRST_S: Final = 1.0
LOOK_MAX_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Offer:
    """What a release gives the worker. On probation a model must show itself: what fails is told, unless it
    was the hardware; a release that has committed serves as it can.
    """

    preferred: ModelSpec
    fallback: ModelSpec | None = None
    """The variant for the CPU, beside one that is compiled for an Edge TPU."""
    on_probation: bool = False


class Cause(StrEnum):
    """Why a worker had to be started again."""

    CRASHED = "crashed"
    HUNG = "hung"
    INVOKE = "invoke"
    """It gave up: its model had failed frame after frame."""
    START = "start"
    """No process was to be had."""
    EDGETPU = "edgetpu"
    CAMERA = "camera"
    """Its camera's driver did not return, which says nothing against the model."""


GAVE_UP: Final = "exit status 1"


def cause(how: str, *, started: bool, hung: bool, on_edgetpu: bool) -> Cause:
    """Of the end of a worker; on an Edge TPU the hardware is taken for it until one has looked."""
    if not started:
        return Cause.START
    if on_edgetpu:
        return Cause.EDGETPU
    if hung:
        return Cause.HUNG
    return Cause.INVOKE if how == GAVE_UP else Cause.CRASHED


def is_hardware(how: str, *, opens: bool, spells: int) -> bool:
    """Whether the hardware is to blame for the end of a model that was computed on an Edge TPU.

    Args:
        how: it ended, in words.
        opens: whether the Edge TPU could be opened afterwards.
        spells: how often in a row it had been aborted or hung before, with the Edge TPU there.
    """
    return not opens or (_is_spell(how) and spells < SPELLS_FORGIVEN)


def _is_spell(how: str) -> bool:
    return "SIGABRT" in how or how.startswith("hung")


def look_again_s(attempt: int) -> float:
    """Seconds until an Edge TPU that is away is looked at for the nth time, counted from 0."""
    return min(LOOK_MAX_S, LOOK_FIRST_S * 2.0 ** min(attempt, 16))


def degraded(why: str, fallback: ModelSpec | None) -> str:
    """The state in words, for the report."""
    if fallback is None:
        return f"{why}; the release has no variant for the CPU, so nothing serves until the Edge TPU is back"
    return f"{why}; the variant for the CPU serves instead"
