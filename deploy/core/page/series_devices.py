"""The newest windows of each device, in bounded memory, for its page.

A window is kept as 33 bytes and there are 120 of them, so that a pipeline costs 4 kB, its newest document
besides: at ten seconds a window this is twenty minutes.
"""

import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from math import nan
from typing import Final

from agent.core.telemetry.latency import quantile
from agent.wire import codec
from agent.wire.reports import Telemetry
from deploy.core.page.series import Column, DeviceSeries

POINTS_KEPT: Final = 120
DEVICES_MAX: Final = 20_000
"""The one that was heard longest ago makes room: 80 MB of points at most."""
PIPELINES_MAX: Final = 8
"""Of one device."""
LAST_MAX_BYTES: Final = 16_384
LASTS_MAX: Final = 5_000
"""Documents that are kept whole, of the devices that were heard last: 80 MB at most, 15 MB as they are."""
ATS_KEPT: Final = 4
WINDOWS_A_MINUTE_MAX: Final = 240
WINDOW_MIN_S: Final = 1.0
MISSING_MAX: Final = 30
"""Windows in a row that count as missing: five minutes of them."""

_POINT: Final = struct.Struct("<I5fII?")


@dataclass(slots=True)
class Track:
    """Of one pipeline."""

    points: bytearray = field(default_factory=bytearray)
    """A ring of POINTS_KEPT once it is full; `next` is where the next one goes."""
    next: int = 0
    ats: tuple[float, ...] = ()
    """When its newest windows ended, by its own clock: what has one of them came a second time."""
    minute: int = -1
    in_minute: int = 0

    def put(self, at: int, told: Telemetry) -> None:
        point = _point(at, told)
        if len(self.points) < POINTS_KEPT * _POINT.size:
            self.points += point
        else:
            place = self.next * _POINT.size
            self.points[place : place + _POINT.size] = point
        self.next = (self.next + 1) % POINTS_KEPT

    def read(self) -> list[tuple[int, float, float, float, float, float, int, int, bool]]:
        """The oldest first."""
        cut = self.next * _POINT.size if len(self.points) == POINTS_KEPT * _POINT.size else 0
        return list(_POINT.iter_unpack(bytes(self.points[cut:] + self.points[:cut])))


class Tracks:
    """Not for several threads at once."""

    def __init__(self) -> None:
        self._devices: OrderedDict[str, dict[str, Track]] = OrderedDict()
        self._lasts: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._devices)

    def track(self, device: str, pipeline: str) -> Track | None:
        """Where to put its windows; None: it has invented too many pipelines."""
        pipelines = self._devices.setdefault(device, {})
        self._devices.move_to_end(device)
        if len(self._devices) > DEVICES_MAX:
            self._devices.popitem(last=False)
        if pipeline not in pipelines and len(pipelines) >= PIPELINES_MAX:
            return None
        return pipelines.setdefault(pipeline, Track())

    def keep(self, device: str, pipeline: str, content: bytes) -> None:
        """The newest document, which could be read, as it came."""
        if len(content) > LAST_MAX_BYTES:
            return
        self._lasts[device, pipeline] = content
        self._lasts.move_to_end((device, pipeline))
        if len(self._lasts) > LASTS_MAX:
            self._lasts.popitem(last=False)

    def series(self, device: str, pipeline: str) -> DeviceSeries:
        """Empty of one that was not heard."""
        track = self._devices.get(device, {}).get(pipeline)
        points = [] if track is None else track.read()
        content = self._lasts.get((device, pipeline))
        return DeviceSeries(
            device=device,
            pipeline=pipeline,
            at=tuple(point[0] for point in points),
            fps=_column(points, 1),
            invoke_p50_ms=_column(points, 2),
            invoke_p95_ms=_column(points, 3),
            age_p95_ms=_column(points, 4),
            soc_c=_column(points, 5),
            errors=tuple(point[6] for point in points),
            frames_dropped=tuple(point[7] for point in points),
            throttled=tuple(point[8] for point in points),
            last=None if content is None else codec.decode(content, Telemetry),
        )


def is_repeat(track: Track, told: Telemetry) -> bool:
    """A broker may deliver a message again, and a bridge may bring it twice."""
    at = told.at.timestamp()
    if at in track.ats:
        return True
    track.ats = (*track.ats[1 - ATS_KEPT :], at)
    return False


def missing(track: Track, told: Telemetry) -> int:
    """How many windows like this one lie between it and the one before, whichever way they were lost; none
    where the device was away for longer than a broker's queue and a new connection account for. To be asked
    before `is_repeat`.
    """
    if not track.ats or told.window_s < WINDOW_MIN_S:
        return 0
    unheard_s = told.at.timestamp() - told.window_s - max(track.ats)
    windows = round(unheard_s / told.window_s)
    return windows if 0 < windows <= MISSING_MAX else 0


def is_flood(track: Track, minute: int) -> bool:
    """Whether it has sent more windows in this minute than anybody can measure."""
    track.in_minute = track.in_minute + 1 if track.minute == minute else 1
    track.minute = minute
    return track.in_minute > WINDOWS_A_MINUTE_MAX


def _point(at: int, told: Telemetry) -> bytes:
    invoke, age = told.histogram_ms.get("invoke"), told.histogram_ms.get("age")
    measured = invoke is not None and invoke.count
    soc_c = None if told.vitals is None else told.vitals.soc_c
    return _POINT.pack(
        at,
        told.fps,
        quantile(invoke, 0.5) if invoke is not None and measured else nan,
        quantile(invoke, 0.95) if invoke is not None and measured else nan,
        quantile(age, 0.95) if age is not None and age.count else nan,
        soc_c if soc_c is not None and -100.0 < soc_c < 300.0 else nan,
        min(told.errors, 2**32 - 1),
        min(told.frames_dropped, 2**32 - 1),
        told.throttled,
    )


def _column(points: list[tuple[int, float, float, float, float, float, int, int, bool]], of: int) -> Column:
    values = (float(point[of]) for point in points)
    # NaN is the one number that is not itself.
    return tuple(round(value, 3) if value == value else None for value in values)  # noqa: PLR0124 - see above
