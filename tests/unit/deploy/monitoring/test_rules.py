"""Each alert fires when it should, and is quiet when it should, as Prometheus itself evaluates it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.adapters.exposition import exposition
from tests.fakes.figures import of_device, of_fleet

MONITORING = Path(__file__).parents[4] / "deploy" / "monitoring"
RULES = sorted((MONITORING / "rules").glob("*.yml"))
FLEET = 'instance="c:8470",job="shoal-fleet"'
DEVICE = 'instance="pi:8471",job="shoal-device"'
MAIN = f'{DEVICE},pipeline="main"'

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def steady(name, value, labels=FLEET):
    return {f"{name}{{{labels}}}": f"{value}x90"}


def growing(name, by, labels=FLEET):
    return {f"{name}{{{labels}}}": f"0+{by}x90"}


def devices(online, offline):
    return steady("shoal_fleet_devices", online, f'{FLEET},presence="online"') | steady(
        "shoal_fleet_devices", offline, f'{FLEET},presence="offline"'
    )


def windows(by, result="counted"):
    return growing("shoal_telemetry_windows_total", by, f'{FLEET},result="{result}"')


def hindered(pipelines, by="degraded"):
    return steady("shoal_fleet_pipelines_hindered", pipelines, f'{FLEET},by="{by}"') | steady(
        "shoal_fleet_pipelines_phase", 100, f'{FLEET},phase="idle"'
    )


def verdict(said, value, points="x90"):
    name = f'shoal_fleet_rollout_verdict{{{FLEET},rollout="r",stream="main",verdict="{said}"}}'
    return {name: f"{value}{points}"}


def latency(name, labels, fast_then_slow):
    """Ten frames a minute, within 50 ms or within 250 ms; the points are minutes."""
    fast, slow = fast_then_slow
    counts = {
        "0.05": f"0+10x{fast} {10 * fast}+0x{slow}",
        "0.25": f"0+10x{fast + slow}",
        "2.5": f"0+10x{fast + slow}",
        "+Inf": f"0+10x{fast + slow}",
    }
    return {f'{name}{{{labels},le="{le}"}}': values for le, values in counts.items()}


def old(frames_within_s):
    """One frame a second, complete within so many seconds."""
    counts = {le: 60 * (float(le) >= frames_within_s) for le in ("0.5", "1.0", "2.5", "+Inf")}
    name = "shoal_latency_seconds_bucket"
    return {f'{name}{{{MAIN},stage="age",le="{le}"}}': f"0+{by}x90" for le, by in counts.items()}


STAGE = f'{FLEET},stage="invoke",release="cats@1",hardware="rpi5/xnnpack"'
OF = "shoal_fleet_latency_seconds_bucket"
DAY = 1_440

FIRES = [
    ("ShoalFleetPageGone", steady("up", 0)),
    ("ShoalControllerGone", steady("shoal_fleet_controller_up", 0)),
    ("ShoalBrokerDown", steady("shoal_fleet_broker_up", 0)),
    (
        "ShoalMetadataExpires",
        steady("shoal_fleet_metadata_expires_timestamp_seconds", 86_400, f'{FLEET},role="timestamp"'),
    ),
    ("ShoalDevicesSilent", devices(90, 10)),
    ("ShoalTelemetrySilent", devices(90, 0) | windows(0)),
    ("ShoalTelemetryLost", growing("shoal_telemetry_overrun_total", 1)),
    ("ShoalTelemetryLost", growing("shoal_series_failures_total", 1)),
    ("ShoalTelemetryMissing", growing("shoal_telemetry_missing_total", 3) | windows(100)),
    ("ShoalTelemetryRefused", windows(60, "durations")),
    ("ShoalDevicesFailed", steady("shoal_fleet_devices_standing", 1, f'{FLEET},standing="failed"')),
    ("ShoalPipelinesHindered", hindered(6)),
    ("ShoalRolloutHeld", verdict("hold", 1, "x400")),
    (
        "ShoalRolloutAborted",
        steady("shoal_fleet_rollout_state", 1, f'{FLEET},rollout="r",stream="main",state="going-back"'),
    ),
    ("ShoalLatencyRegressed", latency(OF, STAGE, (DAY, 120))),
    ("ShoalClassesDrifted", steady("shoal_fleet_class_drifted", 1, f'{FLEET},release="cats@1"')),
    ("ShoalDeviceGone", steady("up", 0, DEVICE)),
    ("ShoalNotClassifying", growing("shoal_predictions_total", 0, MAIN) | steady("shoal_paused", 0, MAIN)),
    ("ShoalCameraOut", steady("shoal_camera_state", 1, f'{MAIN},state="frozen"')),
    ("ShoalThrottled", steady("shoal_throttled", 1, f'{DEVICE},strain="soft_limit"')),
    ("ShoalUnderVoltage", steady("shoal_throttled", 1, f'{DEVICE},strain="under_voltage"')),
    ("ShoalDegraded", steady("shoal_degraded", 1, MAIN)),
    (
        "ShoalInferenceErrors",
        growing("shoal_inference_errors_total", 2, MAIN) | growing("shoal_frames_total", 100, MAIN),
    ),
    ("ShoalWorkerRestarts", growing("shoal_worker_restarts_total", 1, f'{MAIN},cause="crashed"')),
    ("ShoalLatencyHigh", old(2.0)),
    ("ShoalOutboxGrows", growing("shoal_outbox_messages", 10, DEVICE)),
    ("ShoalOutboxDropped", growing("shoal_outbox_dropped_total", 1, DEVICE)),
    ("ShoalDeviceDiskFull", steady("shoal_disk_free_bytes", 1e8, DEVICE)),
]
QUIET = [
    ("ShoalFleetPageGone", steady("up", 1)),
    ("ShoalControllerGone", steady("shoal_fleet_controller_up", 1)),
    ("ShoalBrokerDown", steady("shoal_fleet_broker_up", 1)),
    (
        "ShoalMetadataExpires",
        steady("shoal_fleet_metadata_expires_timestamp_seconds", 9e5, f'{FLEET},role="timestamp"'),
    ),
    ("ShoalDevicesSilent", devices(99, 1)),
    ("ShoalDevicesSilent", devices(0, 0)),
    ("ShoalTelemetrySilent", devices(90, 0) | windows(5)),
    ("ShoalTelemetrySilent", devices(0, 90) | windows(0)),
    ("ShoalTelemetryLost", growing("shoal_telemetry_overrun_total", 0)),
    ("ShoalTelemetryMissing", growing("shoal_telemetry_missing_total", 1) | windows(100)),
    ("ShoalTelemetryRefused", windows(1, "durations") | windows(6_000)),
    ("ShoalTelemetryRefused", windows(6_000, "repeated")),
    ("ShoalDevicesFailed", steady("shoal_fleet_devices_standing", 9, f'{FLEET},standing="pending"')),
    ("ShoalPipelinesHindered", hindered(5)),
    ("ShoalPipelinesHindered", hindered(50, "paused")),
    ("ShoalRolloutHeld", verdict("hold", 1)),
    ("ShoalRolloutHeld", verdict("promote", 1, "x400")),
    (
        "ShoalRolloutAborted",
        steady("shoal_fleet_rollout_state", 0, f'{FLEET},rollout="r",stream="main",state="going-back"'),
    ),
    ("ShoalLatencyRegressed", latency(OF, STAGE, (DAY + 120, 0))),
    ("ShoalClassesDrifted", steady("shoal_fleet_class_drifted", 0, f'{FLEET},release="cats@1"')),
    ("ShoalDeviceGone", steady("up", 1, DEVICE)),
    ("ShoalNotClassifying", growing("shoal_predictions_total", 9, MAIN) | steady("shoal_paused", 0, MAIN)),
    ("ShoalNotClassifying", growing("shoal_predictions_total", 0, MAIN) | steady("shoal_paused", 1, MAIN)),
    ("ShoalCameraOut", steady("shoal_camera_state", 1, f'{MAIN},state="live"')),
    ("ShoalThrottled", steady("shoal_throttled", 0, f'{DEVICE},strain="soft_limit"')),
    ("ShoalUnderVoltage", steady("shoal_throttled", 0, f'{DEVICE},strain="under_voltage"')),
    ("ShoalDegraded", steady("shoal_degraded", 0, MAIN)),
    (
        "ShoalInferenceErrors",
        growing("shoal_inference_errors_total", 1, MAIN) | growing("shoal_frames_total", 1_000, MAIN),
    ),
    ("ShoalWorkerRestarts", steady("shoal_worker_restarts_total", 9, f'{MAIN},cause="crashed"')),
    ("ShoalLatencyHigh", old(0.5)),
    ("ShoalOutboxGrows", steady("shoal_outbox_messages", 500, DEVICE)),
    ("ShoalOutboxDropped", steady("shoal_outbox_dropped_total", 7, DEVICE)),
    ("ShoalDeviceDiskFull", steady("shoal_disk_free_bytes", 1e9, DEVICE)),
]


def minutes(alert):
    """When it is looked at."""
    return {"ShoalLatencyRegressed": DAY + 110, "ShoalRolloutHeld": 395}.get(alert, 80)


def metrics(series):
    return {name.partition("{")[0] for name in series}


def grouped(cases):
    """Those that share no metric are evaluated together: Prometheus takes its time for each group."""
    groups = []
    for alert, series in cases:
        for at, together in groups:
            taken = metrics(name for _, one in together for name in one)
            if at == minutes(alert) and taken.isdisjoint(metrics(series)):
                together.append((alert, series))
                break
        else:
            groups.append((minutes(alert), [(alert, series)]))
    return groups


def judged(at, together, *, fires):
    expected = [{"labels": "{}", "value": 1}] if fires else []
    return {
        "interval": "1m",
        "input_series": [
            {"series": name, "values": values} for _, one in together for name, values in one.items()
        ],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0',
                "eval_time": f"{at}m",
                "exp_samples": expected,
            }
            for alert, _ in together
        ],
    }


def test_each_alert_fires_when_it_should_and_only_then(tmp_path):
    cases = [judged(*group, fires=True) for group in grouped(FIRES)]
    cases += [judged(*group, fires=False) for group in grouped(QUIET)]
    told = {"rule_files": [str(rule) for rule in RULES], "evaluation_interval": "10m", "tests": cases}
    # JSON is YAML.
    path = tmp_path / "cases.yml"
    path.write_text(json.dumps(told))
    checked = subprocess.run(
        ["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_seen_to_fire_and_to_be_quiet():
    alerts = {name for rule in RULES for name in re.findall(r"- alert: (\w+)", rule.read_text())}
    assert alerts == {name for name, _ in FIRES} == {name for name, _ in QUIET}


def test_every_alert_says_what_to_do():
    for rule in RULES:
        text = rule.read_text()
        assert text.count("- alert: ") == text.count("summary: ") == text.count("remedy: ")


def test_promtool_takes_the_configuration_with_its_rules():
    checked = subprocess.run(
        ["promtool", "check", "config", str(MONITORING / "prometheus.yml")], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_every_figure_that_an_alert_names_is_told():
    named = {name for rule in RULES for name in re.findall(r"\bshoal_\w+", rule.read_text())}
    told = "".join(exposition(families).body.decode() for families in (of_device(), of_fleet()))
    assert {name for name in named if f"\n{name}{{" not in told and f"\n{name} " not in told} == set()
