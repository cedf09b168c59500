"""All figures there are, of a device and of a fleet, with everything in them that they can have."""

from datetime import UTC, datetime

from agent.core.page.words import Broker
from agent.core.telemetry.figures import About, Figures
from agent.core.telemetry.figures import families as device_families
from agent.wire import codec
from agent.wire.reasons import Reason
from agent.wire.reports import (
    CameraReport,
    CameraState,
    Capabilities,
    Phase,
    Report,
    Running,
    Throttling,
    Vitals,
)
from agent.wire.topics import TELEMETRY, DeviceId, Root, sha256
from deploy.core.devices.roster import Counts
from deploy.core.page import figures as fleet_figures
from deploy.core.page import series_query
from deploy.core.page.series import Against, Collected
from deploy.core.page.series_gathering import Gathering
from deploy.core.page.series_query import Compared, Steps
from deploy.core.page.series_sums import Answered, Heard
from deploy.core.page.words import Brief, Controller, FleetNow, Row
from deploy.core.rollouts.words import Verdict
from tests.fakes.windows import BEGIN, window

STRAINED = Throttling(under_voltage=True, throttled=True)
VITALS = Vitals(
    soc_c=61.5,
    tpu_c=55.0,
    now=STRAINED,
    since_boot=STRAINED,
    cpu_share=0.5,
    memory_available_bytes=500_000_000,
    disk_free_bytes=8_000_000_000,
    outbox_messages=3,
    outbox_dropped=1,
    broker_ms=2.5,
    clock_synchronized=True,
)


def report(pipeline="main"):
    return Report(
        device=DeviceId("pi"),
        at=BEGIN,
        phase=Phase.HELD,
        reason=Reason.LOW_DISK,
        active=Running(
            name="cats",
            version="1",
            manifest=sha256(b"m"),
            digest=sha256(b"d"),
            delegate="xnnpack",
            runtime="litert 2",
        ),
        capabilities=Capabilities(hardware="rpi5"),
        pipeline=pipeline,
        degraded="the CPU stands in",
        camera=CameraReport(state=CameraState.BLACK),
    )


def measured(pipeline="main", windows=3):
    told = Figures(pipeline, report(pipeline))
    for number in range(windows):
        told.measured(
            window(
                *[12.0] * 90,
                *[120.0] * 10,
                number=number,
                errors=2,
                frames_dropped=1,
                published=5,
                restarts={"crashed": 1},
                vitals=VITALS,
                fps_max=7.5,
            )
        )
    return told


def of_device():
    about = About(device=DeviceId("pi"), agent="0.1.0", broker_up=True)
    return tuple(device_families(about, [measured(), measured("porch")]))


def brief(name="cats-2", **changes):
    said = {
        "name": name,
        "stream": "main",
        "release": "cats@2",
        "stable": "cats@1",
        "state": "running",
        "words": "",
        "wave": 0,
        "waves": ("1", "100%"),
        "started_at": BEGIN,
        "by": "olga",
        "verdict": Verdict.HOLD,
        "exposed": 1,
    }
    return Brief(**(said | changes))


ROW = Row(device="pi", online=True, running="cats@1", hardware="rpi5", delegate="xnnpack")


def fleet_now(rows=(ROW,)):
    counts = Counts(
        devices=2, online=1, offline=1, standings={"healthy": 1, "failed": 1}, codes={"offline": 1}
    )
    return FleetNow(
        version=1,
        at=BEGIN,
        broker=Broker(up=True),
        controller=Controller(runs=True, words=""),
        counts=counts,
        rows=tuple(rows),
    )


def drifted():
    first = Heard(0, Answered(frames=1_000, labels={"cat": 1_000}))
    heard = Heard(0, Answered(frames=1_000, labels={"fox": 1_000}))
    return series_query.classes(
        "cats@1", Steps(0, 3_600, 60), (heard,), Compared(Steps(0, 3_600, 3_600), Against.GIVEN, (first,))
    )


def of_fleet():
    gathering, root = Gathering(Root("shoal/home")), Root("shoal/home")
    topic = root.device(TELEMETRY, DeviceId("pi"))
    gathering.take(topic, codec.encode(window(12.0, 20.0)), 60)
    gathering.kept(gathering.waiting())
    expires = {"timestamp": datetime(2026, 12, 1, tzinfo=UTC)}
    return (
        *fleet_figures.of_fleet(fleet_now(), [brief()], 7, expires),
        *gathering.families(),
        *fleet_figures.of_collection(Collected(messages=1, windows=1)),
        *fleet_figures.of_drifts([drifted()]),
    )
