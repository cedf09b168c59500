"""A device in figures for Prometheus: base units, counters since the agent started, bounded labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.core.telemetry.families import Family, Tally, counter, gauge, histogram, info
from agent.wire.reports import CameraState, Phase, Report, Telemetry, Throttling, Vitals
from agent.wire.topics import DeviceId

LABELS_MAX: Final = 20
"""Of what was seen; the first to appear have a series each, the others one together."""
OTHERS: Final = "other"
DIGEST_SHOWN: Final = 12
_STRAINS: Final = ("under_voltage", "frequency_capped", "throttled", "soft_limit")


@dataclass(frozen=True, slots=True)
class About:
    """What is the same for all pipelines."""

    device: DeviceId
    agent: str
    """Its version."""
    broker_up: bool | None
    """None: this device has none."""


@dataclass(slots=True)
class Figures:
    """Of one pipeline, as it is told of its windows and reports."""

    pipeline: str
    report: Report | None = None
    window: Telemetry | None = None
    """The newest."""
    frames: int = 0
    dropped: int = 0
    predictions: int = 0
    published: int = 0
    errors: int = 0
    latency: dict[str, Tally] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    def measured(self, window: Telemetry) -> None:
        self.window = window
        self.frames += window.frames
        self.dropped += window.frames_dropped
        self.predictions += window.predictions
        self.published += window.published
        self.errors += window.errors
        for stage, durations in window.histogram_ms.items():
            self.latency.setdefault(stage, Tally()).add(durations)
        for label, n in window.classes.items():
            named = label if label in self.labels or len(self.labels) < LABELS_MAX else OTHERS
            self.labels[named or OTHERS] = self.labels.get(named or OTHERS, 0) + n


def families(about: About, figures: Sequence[Figures]) -> Iterator[Family]:
    """All of a device's."""
    yield from _of_device(about, figures)
    yield from _of_model(figures)
    yield from _of_frames(figures)
    yield from _of_windows(figures)
    yield from _of_reports(figures)
    yield from _of_host(_vitals(figures))


def _of_device(about: About, figures: Sequence[Figures]) -> Iterator[Family]:
    hardware = next((f.report.capabilities.hardware for f in figures if f.report is not None), "")
    yield info(
        "shoal_agent",
        "The device and its agent",
        [{"device": about.device, "version": about.agent, "hardware": hardware}],
    )
    if about.broker_up is not None:
        yield gauge("shoal_broker_up", "Whether the broker is connected", [({}, about.broker_up)])


def _of_model(figures: Sequence[Figures]) -> Iterator[Family]:
    serving = [(f, f.report.active) for f in figures if f.report is not None and f.report.active is not None]
    yield info(
        "shoal_model",
        "The release that serves",
        [
            {
                "pipeline": each.pipeline,
                "model": active.name,
                "version": active.version,
                "digest": active.digest[:DIGEST_SHOWN],
                "delegate": active.delegate,
                "runtime": active.runtime,
            }
            for each, active in serving
        ],
    )


def _of_frames(figures: Sequence[Figures]) -> Iterator[Family]:
    def labelled(each: Figures) -> Mapping[str, str]:
        return {"pipeline": each.pipeline}

    yield counter(
        "shoal_frames", "Frames that the camera gave", [(labelled(f), float(f.frames)) for f in figures]
    )
    yield counter(
        "shoal_frames_dropped",
        "Frames that a newer one replaced before they were classified",
        [(labelled(f), float(f.dropped)) for f in figures],
    )
    yield counter(
        "shoal_predictions", "Frames classified", [(labelled(f), float(f.predictions)) for f in figures]
    )
    yield counter(
        "shoal_predictions_published",
        "Predictions that passed the rules of emission",
        [(labelled(f), float(f.published)) for f in figures],
    )
    yield counter(
        "shoal_inference_errors",
        "Frames that the model failed on",
        [(labelled(f), float(f.errors)) for f in figures],
    )
    yield histogram(
        "shoal_latency_seconds",
        "Durations of a frame by stage; age is from capture to prediction",
        [
            tally.buckets({"pipeline": f.pipeline, "stage": stage})
            for f in figures
            for stage, tally in sorted(f.latency.items())
        ],
    )
    yield counter(
        "shoal_labels",
        "Frames by their best label, of the first labels that were seen",
        [
            ({"pipeline": f.pipeline, "label": label}, float(n))
            for f in figures
            for label, n in sorted(f.labels.items())
        ],
    )


def _of_windows(figures: Sequence[Figures]) -> Iterator[Family]:
    windows = [(f.pipeline, f.window) for f in figures if f.window is not None]
    yield counter(
        "shoal_worker_restarts",
        "Times that the worker was started anew, by cause",
        [
            ({"pipeline": name, "cause": cause}, float(n))
            for name, window in windows
            for cause, n in sorted(window.restarts.items())
        ],
    )
    yield gauge(
        "shoal_frame_rate_hertz",
        "Frames classified a second in the newest window",
        [({"pipeline": name}, window.fps) for name, window in windows],
    )
    yield gauge(
        "shoal_frame_rate_limit_hertz",
        "What classification is held down to, where it is",
        [({"pipeline": name}, window.fps_max) for name, window in windows],
    )
    yield gauge(
        "shoal_resident_memory_bytes",
        "Memory by process",
        [
            ({"pipeline": name, "process": process}, float(used))
            for name, window in windows
            for process, used in sorted(window.rss_bytes.items())
        ],
    )


def _of_reports(figures: Sequence[Figures]) -> Iterator[Family]:
    reports = [(f.pipeline, f.report) for f in figures if f.report is not None]
    yield gauge(
        "shoal_camera_state",
        "1 for the state that the camera is in",
        [
            ({"pipeline": name, "state": str(state)}, float(report.camera.state is state))
            for name, report in reports
            if report.camera is not None
            for state in CameraState
        ],
    )
    yield gauge(
        "shoal_update_phase",
        "1 for the phase that the update is in",
        [
            ({"pipeline": name, "phase": str(phase)}, float(report.phase is phase))
            for name, report in reports
            for phase in Phase
        ],
    )
    yield gauge(
        "shoal_update_held",
        "1 with the reason, while one holds an update",
        [
            ({"pipeline": name, "reason": str(report.reason)}, 1.0)
            for name, report in reports
            if report.reason is not None
        ],
    )
    yield gauge(
        "shoal_degraded",
        "Whether less serves than the release promises",
        [({"pipeline": name}, float(bool(report.degraded))) for name, report in reports],
    )
    yield gauge(
        "shoal_paused",
        "Whether classification is paused",
        [({"pipeline": name}, float(report.paused)) for name, report in reports],
    )


def _of_host(vitals: Vitals | None) -> Iterator[Family]:
    if vitals is None:
        return
    yield gauge("shoal_soc_temperature_celsius", "Of the processor", [({}, vitals.soc_c)])
    yield gauge("shoal_tpu_temperature_celsius", "Of the Edge TPU", [({}, vitals.tpu_c)])
    yield gauge("shoal_throttled", "What the firmware says holds now", _strains(vitals.now))
    yield gauge("shoal_throttled_since_boot", "What it says has held", _strains(vitals.since_boot))
    yield gauge("shoal_cpu_ratio", "Of all cores together, in the newest window", [({}, vitals.cpu_share)])
    yield gauge("shoal_memory_available_bytes", "Of the host", [({}, _float(vitals.memory_available_bytes))])
    yield gauge("shoal_disk_free_bytes", "Where the models are", [({}, _float(vitals.disk_free_bytes))])
    yield gauge("shoal_outbox_messages", "That wait for the broker", [({}, float(vitals.outbox_messages))])
    yield counter(
        "shoal_outbox_dropped", "Messages that found no place", [({}, float(vitals.outbox_dropped))]
    )
    round_trip_s = None if vitals.broker_ms is None else vitals.broker_ms / 1e3
    yield gauge("shoal_broker_round_trip_seconds", "To the broker and back", [({}, round_trip_s)])
    yield gauge(
        "shoal_clock_synchronized",
        "Whether the clock follows a time server",
        [({}, float(vitals.clock_synchronized))],
    )


def _vitals(figures: Sequence[Figures]) -> Vitals | None:
    """Of the host: the newest that any pipeline told."""
    windows = [f.window for f in figures if f.window is not None and f.window.vitals is not None]
    return max(windows, key=lambda window: window.at).vitals if windows else None


def _strains(told: Throttling | None) -> list[tuple[Mapping[str, str], float]]:
    if told is None:
        return []
    return [({"strain": name}, float(getattr(told, name))) for name in _STRAINS]


def _float(value: int | None) -> float | None:
    return None if value is None else float(value)
