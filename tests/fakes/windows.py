"""Windows of telemetry as a device would send them."""

from datetime import UTC, datetime, timedelta

from agent.core.telemetry.latency import Sketch, percentiles
from agent.wire.reports import Telemetry, Vitals
from agent.wire.topics import sha256

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
STAGES = ("capture", "pre", "invoke", "post", "publish", "age")


def sketch(*ms):
    made = Sketch()
    for one in ms:
        made.add(one)
    return made.to_document()


def window(*invoke_ms, number=0, release="cats@1", hardware="rpi5", classes=None, soc_c=50.0, **others):
    """Of so many frames; `number` tells it from others of its device."""
    invoke_ms = invoke_ms or (20.0,)
    model, _, version = release.partition("@")
    histograms = {stage: sketch(*invoke_ms) for stage in STAGES}
    said = {
        "at": BEGIN + timedelta(seconds=number),
        "window_s": 10.0,
        "frames": len(invoke_ms),
        "frames_dropped": 0,
        "predictions": len(invoke_ms),
        "errors": 0,
        "fps": len(invoke_ms) / 10.0,
        "rss_bytes": {"worker": 1_000},
        "digest": sha256(release.encode()),
        "histogram_ms": histograms,
        "latency_ms": {stage: percentiles(histogram) for stage, histogram in histograms.items()},
        "vitals": Vitals(soc_c=soc_c),
        "model": model,
        "version": version,
        "delegate": "xnnpack",
        "hardware": hardware,
        "classes": classes if classes is not None else {"cat": len(invoke_ms)},
        "confidence": (*(0,) * 19, len(invoke_ms)),
    }
    return Telemetry(**(said | others))
