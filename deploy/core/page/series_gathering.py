"""Telemetry as it comes in: read, judged, and summed for the minute in which it came.

A window counts for the minute in which it arrives, by our clock: a device whose own is wrong is in no other
place than the rest. Its own only tells whether it is the same window again.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from agent.core.telemetry.families import Family, Tally, counter, histogram
from agent.wire import codec
from agent.wire.errors import WireError
from agent.wire.reports import Telemetry
from agent.wire.topics import TELEMETRY, Root
from deploy.core.page.series import Collected, DeviceSeries
from deploy.core.page.series_bounds import STAGES, Absurd, Fault, require
from deploy.core.page.series_devices import Tracks, is_flood, is_repeat, missing
from deploy.core.page.series_sums import ANYTHING, PLACES_MAX, Known, Place, Sums

OTHERS: Final = "other"
"""What REST is called as a label."""
TALLIES_MAX: Final = (PLACES_MAX + 1) * len(STAGES)
"""As many as one span can have, so that whoever is heard now has one."""
MINUTES_WAITING_MAX: Final = 60
"""While the disk refuses. What is older is lost, and counted."""


@dataclass(slots=True)
class Gathering:
    """Not for several threads at once."""

    root: Root
    known: Known = ANYTHING
    messages: int = 0
    windows: int = 0
    repeated: int = 0
    missing: int = 0
    """That lie between those that came."""
    minutes_lost: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    why: str = ""
    _tracks: Tracks = field(default_factory=Tracks)
    _waiting: dict[int, Sums] = field(default_factory=dict)
    _since_start: dict[tuple[str, str, str], Tally] = field(default_factory=dict)

    def take(self, topic: str, content: bytes, now: int) -> None:
        """One message, which came at `now`, in seconds since 1970."""
        self.messages += 1
        try:
            address = self.root.parse(topic)
            told = codec.decode(content, Telemetry)
            require(told)
        except Absurd as error:
            self._refuse(error.fault, f"{topic}: {error}")
            return
        except WireError as error:
            self._refuse(Fault.UNREADABLE, f"{topic[:200]}: {error}")
            return
        if address.device is None or address.channel is not TELEMETRY:
            self._refuse(Fault.UNREADABLE, f"{topic}: it is no telemetry")
            return
        self._judge(address.device, address.pipeline, told, content, now)

    def _judge(self, device: str, pipeline: str, told: Telemetry, content: bytes, now: int) -> None:
        track = self._tracks.track(device, pipeline)
        minute = now - now % 60
        if track is None or is_flood(track, minute):
            self._refuse(Fault.TOO_OFTEN, f"{device} sends more windows or pipelines than it can measure")
            return
        self.missing += missing(track, told)
        if is_repeat(track, told):
            self.repeated += 1
        else:
            self.windows += 1
            track.put(now, told)
            self._tracks.keep(device, pipeline, content)
            self._waiting.setdefault(minute, Sums()).add(told, self.known)

    def waiting(self) -> dict[int, Sums]:
        """What is to be kept, by minute. It is forgotten here, and either `kept` or `put_back`."""
        waiting, self._waiting = self._waiting, {}
        return waiting

    def kept(self, waiting: dict[int, Sums]) -> None:
        """It was: it counts among what was measured since the start."""
        for sums in waiting.values():
            for place, stage, durations in sums.sketches():
                self._tally(place, stage).add(durations)

    def put_back(self, waiting: dict[int, Sums]) -> None:
        """It could not be kept."""
        for minute, sums in self._waiting.items():
            if minute in waiting:
                waiting[minute].merge(sums)
            else:
                waiting[minute] = sums
        newest = sorted(waiting)[-MINUTES_WAITING_MAX:]
        self.minutes_lost += len(waiting) - len(newest)
        self._waiting = {minute: waiting[minute] for minute in newest}

    def device(self, device: str, pipeline: str) -> DeviceSeries:
        return self._tracks.series(device, pipeline)

    def collected(self) -> Collected:
        return Collected(
            messages=self.messages,
            windows=self.windows,
            repeated=self.repeated,
            missing=self.missing,
            refused=dict(self.refused),
            devices=len(self._tracks),
            why=self.why,
        )

    def families(self) -> tuple[Family, ...]:
        return (
            histogram(
                "shoal_fleet_latency_seconds",
                "Durations of the fleet's frames by release, hardware class and stage",
                (
                    tally.buckets(
                        {"release": release or OTHERS, "hardware": hardware or OTHERS, "stage": stage}
                    )
                    for (release, hardware, stage), tally in sorted(self._since_start.items())
                ),
            ),
            counter(
                "shoal_telemetry_windows",
                "Windows of telemetry by what became of them",
                [
                    ({"result": "counted"}, self.windows),
                    ({"result": "repeated"}, self.repeated),
                    *(({"result": str(fault)}, self.refused[fault]) for fault in Fault),
                ],
            ),
            counter(
                "shoal_series_spans_lost",
                "Minutes that waited for the disk until there was no more room",
                [({}, float(self.minutes_lost))],
            ),
        )

    def _refuse(self, fault: Fault, why: str) -> None:
        self.refused[fault] += 1
        self.why = why[:500]

    def _tally(self, place: Place, stage: str) -> Tally:
        """One that was not heard for longest makes room: else no release of a controller's second year would
        have a figure. Where it is heard again it begins at nothing, as after a restart.
        """
        key = (place.release, place.hardware, stage)
        tally = self._since_start.pop(key, None) or Tally()
        if len(self._since_start) >= TALLIES_MAX:
            del self._since_start[next(iter(self._since_start))]
        self._since_start[key] = tally
        return tally
