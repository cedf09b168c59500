"""What the scripted device has to say, as real documents."""

from datetime import UTC, datetime, timedelta

from agent.core.page.words import Broker, Now, Offered, Past, PipelineNow, Seen
from agent.wire.reasons import Reason
from agent.wire.reports import (
    CameraReport,
    CameraState,
    Capabilities,
    Ended,
    Outcome,
    Percentiles,
    Phase,
    Ranked,
    Report,
    Running,
    StageLatency,
    Telemetry,
    Throttling,
    Vitals,
)
from agent.wire.topics import DeviceId, Digest

MANIFEST = Digest("a" * 64)
FILE = Digest("b2c4d6e8" * 8)
LABELS = ("German shepherd", "malinois", "kelpie", "Norwegian elkhound", "dingo")


def instant() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a page shows the time of day


def report(name: str = "main", **changes: object) -> Report:
    told: dict[str, object] = {
        "device": DeviceId("pi-7"),
        "at": instant(),
        "phase": Phase.IDLE,
        "active": Running(
            name="lite0",
            version="1.0.0",
            manifest=MANIFEST,
            digest=FILE,
            delegate="XNNPACK",
            delegate_reason="full integer, not compiled for an Edge TPU: compiling it would move it there",
            runtime="ai-edge-litert 2.1.5",
        ),
        "capabilities": Capabilities(hardware="cpu", machine="aarch64", runtime="ai-edge-litert 2.1.5"),
        "pipeline": name,
        "stream": name,
        "camera": CameraReport(state=CameraState.LIVE, kind="picamera2"),
    }
    return Report(**{**told, **changes})


def seen(sequence: int, *labels: str, name: str = "main", at: datetime | None = None) -> Seen:
    scores = (0.82, 0.09, 0.04, 0.02, 0.01)
    wobble = (sequence % 7) / 10
    return Seen(
        pipeline=name,
        at=at or instant(),
        sequence=sequence,
        model="lite0",
        version="1.0.0",
        delegate="XNNPACK",
        predictions=tuple(
            Ranked(index=at_, label=label, score=score)
            for at_, (label, score) in enumerate(zip(labels or LABELS, scores, strict=False))
        ),
        latency_ms=StageLatency(
            capture=4.0 + wobble, pre=3.1, invoke=22.0 + 5 * wobble, post=0.3, age=29.4 + 6 * wobble
        ),
    )


def window(at: datetime, **changes: object) -> Telemetry:
    spread = Percentiles(p50=29.0, p95=34.2, p99=41.8)
    told: dict[str, object] = {
        "at": at,
        "window_s": 10.0,
        "frames": 100,
        "frames_dropped": 2,
        "predictions": 98,
        "errors": 0,
        "fps": 9.8,
        "rss_bytes": {"supervisor": 48_000_000, "worker": 112_000_000},
        "digest": FILE,
        "histogram_ms": {},
        "latency_ms": dict.fromkeys(("capture", "pre", "invoke", "post", "publish", "age"), spread),
        "vitals": Vitals(
            soc_c=61.2,
            now=Throttling(),
            since_boot=Throttling(under_voltage=True),
            cpu_share=0.31,
            memory_available_bytes=2_400_000_000,
            disk_free_bytes=19_000_000_000,
            broker_ms=3.4,
            clock_synchronized=True,
        ),
    }
    return Telemetry(**{**told, **changes})


def ended(version: str, outcome: Outcome, reason: Reason | None = None, detail: str = "") -> Past:
    return Past(
        at=instant() - timedelta(hours=3),
        ended=Ended(
            name="lite0", version=version, manifest=MANIFEST, outcome=outcome, reason=reason, detail=detail
        ),
    )


def pipeline(name: str = "main", **changes: object) -> PipelineNow:
    now = instant()
    told: dict[str, object] = {
        "report": report(name),
        "frames": tuple(
            seen(100 + at, name=name, at=now - timedelta(seconds=(60 - at) / 10)) for at in range(60)
        ),
        "telemetry": tuple(window(now - timedelta(seconds=10 * (30 - at))) for at in range(30)),
        "past": (
            ended("1.0.0", Outcome.COMMITTED),
            ended("0.9.0", Outcome.REFUSED, Reason.GOLDEN_MISMATCH, "hens.jpg: 0.31 instead of 0.93"),
        ),
    }
    return PipelineNow(**{**told, **changes})


def offered(version: str = "1.1.0") -> Offered:
    return Offered(name="lite0", version=version, manifest=MANIFEST)


def now(**changes: object) -> Now:
    told: dict[str, object] = {
        "at": instant(),
        "device": DeviceId("pi-7"),
        "agent": "0.1.0",
        "broker": Broker(up=True, place="broker.local:8883", since=instant()),
        "window_s": 10.0,
        "pipelines": {"main": pipeline()},
        "may": ("accept", "pause", "resume"),
    }
    return Now(**{**told, **changes})
