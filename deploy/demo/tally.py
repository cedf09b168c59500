"""What a stretch of service came to: predictions, telemetry and events of one device, folded."""

from collections import Counter
from datetime import datetime
from typing import Any

from msgspec.structs import asdict

from agent.core.telemetry.latency import merge, percentiles
from agent.wire.reports import Event, Histogram, Prediction, Report, Telemetry


class Tally:
    """Made of what the device published alone; nothing is measured on the operator's side."""

    def __init__(self) -> None:
        self.predictions = 0
        self.top1: Counter[str] = Counter()
        self.newest: Prediction | None = None
        self.report: Report | None = None
        self.frames_dropped = 0
        self.bytes_pulled = 0
        self.served: list[str] = []
        """Manifests in the order in which they began to serve."""
        self.refused: list[str] = []
        self.ended: list[Event] = []
        self._first_at: datetime | None = None
        self._histograms: dict[str, Histogram] = {}

    def predicted(self, prediction: Prediction) -> None:
        self.predictions += 1
        self._first_at = self._first_at or prediction.at
        self.newest = prediction
        if prediction.predictions:
            self.top1[prediction.predictions[0].label] += 1

    def measured(self, telemetry: Telemetry) -> None:
        self.frames_dropped += telemetry.frames_dropped
        for stage, histogram in telemetry.histogram_ms.items():
            known = self._histograms.get(stage)
            self._histograms[stage] = histogram if known is None else merge((known, histogram))

    def happened(self, event: Event) -> None:
        match event.name:
            case "update.fetched":
                self.bytes_pulled += int(event.fields["bytes"])
            case "model.serving" if not self.served or self.served[-1] != event.fields["manifest"]:
                self.served.append(str(event.fields["manifest"]))
            case "update.ended":
                self.ended.append(event)
                if event.fields["outcome"] != "committed":
                    self.refused.append(str(event.fields["reason"]))
            case _:
                pass

    def committed(self, version: str) -> bool:
        return any(e.fields["version"] == version and e.fields["outcome"] == "committed" for e in self.ended)

    def over(self, version: str) -> bool:
        return any(e.fields["version"] == version for e in self.ended)

    def fps(self) -> float:
        """Predictions a second between the first captured frame and the last."""
        if self.newest is None or self._first_at is None:
            return 0.0
        span_s = (self.newest.at - self._first_at).total_seconds()
        return (self.predictions - 1) / span_s if span_s > 0 else 0.0

    def latency_ms(self) -> dict[str, dict[str, float]]:
        """By stage, over everything measured: histograms are merged, percentiles never averaged."""
        table = {}
        for stage, merged in self._histograms.items():
            shown = percentiles(merged)
            table[stage] = {name: round(value, 3) for name, value in asdict(shown).items()}
        return table

    def summary(self) -> dict[str, Any]:
        """The demo's last line. What the device runs, it said after the last prediction that was counted."""
        active = self.report.active if self.report else None
        return {
            "predictions": self.predictions,
            "model": active.name if active else None,
            "version": active.version if active else None,
            "digest": active.digest if active else None,
            "runtime": active.runtime if active else None,
            "delegate": active.delegate if active else None,
            "delegate_reason": active.delegate_reason if active else None,
            "bytes_pulled": self.bytes_pulled,
            "fps": round(self.fps(), 2),
            "frames_dropped": self.frames_dropped,
            "latency_ms": self.latency_ms(),
            "top1": dict(self.top1.most_common()),
            "swaps": max(0, len(self.served) - 1),
            "refused": self.refused,
        }
