import pytest
from msgspec.structs import replace

from agent import config
from agent.config import Broker, Camera, CameraKind, Emission, Outbox, Pipeline, Settings, Telemetry
from agent.config.changes import is_safe

PATTERN = Camera(kind=CameraKind.PATTERN)
OLD = Settings(camera=PATTERN, pipeline={"side": Pipeline(stream="s", camera=PATTERN)})


def test_safe_changes_take_effect_and_the_others_are_named_for_a_restart():
    wanted = replace(
        OLD,
        telemetry=Telemetry(window_s=5.0),
        broker=Broker(url="mqtt://elsewhere"),
        outbox=Outbox(drain_per_s=1.0, max_mib=2),
        pipeline={"side": Pipeline(stream="t", camera=PATTERN, emission=Emission(floor=0.5))},
    )
    changes = config.compare(OLD, wanted)
    assert changes.settings == replace(
        OLD,
        telemetry=Telemetry(window_s=5.0),
        outbox=Outbox(drain_per_s=1.0),
        pipeline={"side": Pipeline(stream="s", camera=PATTERN, emission=Emission(floor=0.5))},
    )
    assert [change.key for change in changes.restart] == [
        "broker.url",
        "outbox.max_mib",
        "pipeline.side.stream",
    ]
    assert changes.words.startswith("now: telemetry.window_s 10.0 -> 5.0, outbox.drain_per_s 50.0 -> 1.0, ")
    assert "; after a restart: broker.url 'mqtt://127.0.0.1:1883' -> 'mqtt://elsewhere'" in changes.words


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (OLD, "nothing changed"),
        (replace(OLD, telemetry=Telemetry(window_s=3.0)), "now: telemetry.window_s 10.0 -> 3.0"),
        (
            replace(OLD, broker=Broker(keepalive_s=60)),
            "nothing took effect; after a restart: broker.keepalive_s 30 -> 60",
        ),
    ],
)
def test_a_reload_says_in_one_sentence_what_became_of_the_file(wanted, words):
    assert config.compare(OLD, wanted).words == words


def test_a_pipeline_that_comes_or_goes_waits_for_a_restart():
    gone = config.compare(OLD, replace(OLD, pipeline={}))
    come = config.compare(replace(OLD, pipeline={}), OLD)
    assert gone.settings == OLD
    assert come.settings.pipeline == {}
    assert "pipeline.side none -> there" in come.words
    assert {change.key for change in gone.restart} == {change.key for change in come.restart}
    assert not gone.applied
    assert not come.applied


def test_what_was_applied_is_what_runs():
    """Against its own result, a change has nothing safe left to do."""
    wanted = replace(OLD, emission=Emission(floor=0.5), broker=Broker(keepalive_s=60))
    again = config.compare(config.compare(OLD, wanted).settings, wanted)
    assert not again.applied
    assert [change.key for change in again.restart] == ["broker.keepalive_s"]


def test_no_password_is_told():
    old, new = (replace(OLD, camera=Camera(kind=CameraKind.RTSP, url=f"rtsp://a:{pw}@b")) for pw in "xy")
    changes = config.compare(old, new)
    assert [change.key for change in changes.restart] == ["camera.url"]
    assert ":x" not in changes.words


@pytest.mark.parametrize(
    ("key", "safe"),
    [
        (("emission", "floor"), True),
        (("thermal", "floor_fps"), True),
        (("log", "verbose"), True),
        (("pipeline", "side", "emission", "floor"), True),
        (("pipeline", "side", "camera", "kind"), False),
        (("device", "state_dir"), False),
        (("trust", "root"), False),
        (("outbox", "max_mib"), False),
    ],
)
def test_only_what_is_read_anew_each_time_is_safe(key, safe):
    assert is_safe(key) is safe
