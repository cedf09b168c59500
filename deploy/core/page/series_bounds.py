"""What a window of telemetry may say. Anybody who got onto the broker can send one: what no device could have
measured is refused, before it is summed with what others did.
"""

import re
from enum import StrEnum
from math import isfinite
from typing import Final

from agent.core.telemetry.latency import RELATIVE_ACCURACY, value_of
from agent.wire.errors import Malformed
from agent.wire.reports import BINS, CLASSES_OF_A_WINDOW, Histogram, Telemetry

STAGES: Final = ("capture", "pre", "invoke", "post", "publish", "age")
WINDOW_MAX_S: Final = 86_400.0
RATE_MAX: Final = 10_000
"""Frames a second that one pipeline may claim, and as many at once."""
KEY_MIN, KEY_MAX = -345, 755
"""Bins of durations from 0.001 ms to an hour; what is shorter counts as nothing."""
MS_MAX: Final = 3.7e6
SUM_OFF_MAX: Final = 0.02
"""By so much the sum may be off from what the bins say, which are each off by 0.01."""
LABEL_MAX_CHARS: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_VALUES: Final = {key: value_of(key, RELATIVE_ACCURACY) for key in range(KEY_MIN, KEY_MAX + 1)}


class Fault(StrEnum):
    """Why a window is refused, as it is counted."""

    UNREADABLE = "unreadable"
    COUNTS = "counts"
    DURATIONS = "durations"
    CLASSES = "classes"
    NAMES = "names"
    TOO_OFTEN = "too-often"


class Absurd(Malformed):
    """No device could have measured this."""

    def __init__(self, fault: Fault, words: str) -> None:
        super().__init__(words)
        self.fault = fault


def require(told: Telemetry) -> None:
    """
    Raises:
        Absurd: a number is beyond its bound, numbers contradict each other, or a name is none.
    """
    _require_counts(told)
    for stage in STAGES:
        histogram = told.histogram_ms.get(stage)
        if histogram is not None:
            _require_durations(stage, histogram, told)
    _require_classes(told)
    _require_names(told)


def _require_counts(told: Telemetry) -> None:
    if not 0.0 <= told.window_s <= WINDOW_MAX_S:
        raise Absurd(
            Fault.COUNTS, f"a window of {told.window_s:g} s: at most {WINDOW_MAX_S:g} s are accepted"
        )
    most = RATE_MAX * (told.window_s + 1.0)
    counts = (told.frames, told.frames_dropped, told.predictions, told.errors, told.published)
    if max(counts) > most:
        raise Absurd(
            Fault.COUNTS, f"{max(counts)} frames in {told.window_s:g} s: at most {most:g} are accepted"
        )
    if not 0.0 <= told.fps <= RATE_MAX:
        raise Absurd(Fault.COUNTS, f"{told.fps:g} frames a second: at most {RATE_MAX} are accepted")


def _require_durations(stage: str, histogram: Histogram, told: Telemetry) -> None:
    if histogram.relative_accuracy != RELATIVE_ACCURACY:
        raise Absurd(
            Fault.DURATIONS,
            f"{stage}: an accuracy of {histogram.relative_accuracy:g} cannot be merged with "
            f"{RELATIVE_ACCURACY:g}: upgrade shoal-agent",
        )
    bins = histogram.bins
    if histogram.count != histogram.zeros + sum(bins.values()):
        raise Absurd(Fault.DURATIONS, f"{stage}: {histogram.count} durations are not those of its bins")
    if histogram.count > told.predictions:
        raise Absurd(Fault.DURATIONS, f"{stage}: {histogram.count} durations of {told.predictions} frames")
    if bins and max(bins) > KEY_MAX:
        raise Absurd(Fault.DURATIONS, f"{stage}: a duration of more than an hour")
    spans = (histogram.sum, histogram.min, histogram.max)
    if not all(map(isfinite, spans)) or not 0.0 <= histogram.min <= histogram.max <= MS_MAX:
        raise Absurd(Fault.DURATIONS, f"{stage}: durations from {histogram.min:g} to {histogram.max:g} ms")
    meant = sum(_VALUES.get(key, 0.0) * n for key, n in bins.items())
    if abs(histogram.sum - meant) > SUM_OFF_MAX * meant + 0.002 * histogram.count:
        raise Absurd(Fault.DURATIONS, f"{stage}: a sum of {histogram.sum:g} ms, and bins of {meant:g} ms")


def _require_classes(told: Telemetry) -> None:
    if len(told.classes) > CLASSES_OF_A_WINDOW + 1:
        raise Absurd(
            Fault.CLASSES, f"{len(told.classes)} labels: at most {CLASSES_OF_A_WINDOW + 1} are accepted"
        )
    if any(len(label) > LABEL_MAX_CHARS for label in told.classes):
        raise Absurd(Fault.CLASSES, f"a label of more than {LABEL_MAX_CHARS} characters")
    if len(told.confidence) not in {0, BINS}:
        raise Absurd(Fault.CLASSES, f"{len(told.confidence)} bins of scores: {BINS} are meant")
    named = max(sum(told.classes.values()), sum(told.confidence))
    if named > told.predictions:
        raise Absurd(Fault.CLASSES, f"{named} answers to {told.predictions} frames")


def _require_names(told: Telemetry) -> None:
    for name in (told.model, told.version, told.delegate, told.hardware):
        if name and not _NAME.fullmatch(name):
            raise Absurd(Fault.NAMES, f"{name[:80]!r} is no name: use letters, digits, dots and dashes")
