import shutil
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read

from agent.adapters.exposition import exposition
from tests.fakes.figures import of_device, of_fleet

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def values(families, name, **labels):
    found = read(exposition(families).body.decode())
    samples = [s for family in found for s in family.samples if s.name == name]
    return [s.value for s in samples if labels.items() <= s.labels.items()]


@promtool
@pytest.mark.parametrize("families", [of_device(), of_fleet()], ids=["device", "fleet"])
def test_promtool_finds_nothing_wrong_with_the_figures(families):
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=exposition(families).body, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.parametrize("families", [of_device(), of_fleet()], ids=["device", "fleet"])
def test_whoever_asks_for_openmetrics_is_given_it(families):
    made = exposition(families, OPENMETRICS)
    assert made.content_type.startswith("application/openmetrics-text")
    told = {family.name for family in read_openmetrics(made.body.decode())}
    assert told == {family.name for family in families}


@pytest.mark.parametrize("families", [of_device(), of_fleet()], ids=["device", "fleet"])
def test_every_figure_is_told_once_and_has_words(families):
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert all(family.words for family in families)
    assert all(name.startswith("shoal_") for name in names)


def test_a_device_is_told_in_seconds_and_since_its_page_came_up():
    device = of_device()
    assert values(device, "shoal_frames_total", pipeline="main") == [300.0]
    assert values(device, "shoal_inference_errors_total", pipeline="porch") == [6.0]
    invoke = {"pipeline": "main", "stage": "invoke"}
    assert values(device, "shoal_latency_seconds_bucket", le="0.02", **invoke) == [270.0]
    assert values(device, "shoal_latency_seconds_bucket", le="0.15", **invoke) == [300.0]
    assert values(device, "shoal_latency_seconds_count", **invoke) == [300.0]
    assert values(device, "shoal_latency_seconds_sum", **invoke) == [
        pytest.approx(3 * (90 * 0.012 + 10 * 0.12))
    ]
    assert values(device, "shoal_soc_temperature_celsius") == [61.5]
    assert values(device, "shoal_throttled", strain="throttled") == [1.0]
    assert values(device, "shoal_broker_round_trip_seconds") == [0.0025]
    assert values(device, "shoal_model_info", pipeline="main", version="1", delegate="xnnpack") == [1.0]
    assert values(device, "shoal_camera_state", pipeline="main", state="black") == [1.0]
    assert values(device, "shoal_camera_state", pipeline="main", state="live") == [0.0]
    assert values(device, "shoal_update_held", pipeline="main", reason="low-disk") == [1.0]


def test_a_label_may_hold_whatever_a_model_calls_its_classes():
    from agent.core.telemetry.families import counter

    odd = 'a "cat"\nor \\ two'
    made = exposition([counter("shoal_labels", "By label", [({"label": odd}, 3.0)])])
    [family] = read(made.body.decode())
    assert [sample.labels["label"] for sample in family.samples] == [odd]


def test_a_fleet_is_told_by_release_rollout_and_what_became_of_telemetry():
    fleet = of_fleet()
    assert values(fleet, "shoal_fleet_devices", presence="offline") == [1.0]
    assert values(fleet, "shoal_fleet_pipelines_release", release="cats@1") == [1.0]
    assert values(fleet, "shoal_fleet_rollout_state", rollout="cats-2", state="running") == [1.0]
    assert values(fleet, "shoal_fleet_rollout_verdict", rollout="cats-2", verdict="hold") == [1.0]
    assert values(fleet, "shoal_telemetry_windows_total", result="counted") == [1.0]
    assert values(fleet, "shoal_telemetry_windows_total", result="durations") == [0.0]
    assert values(fleet, "shoal_fleet_latency_seconds_count", stage="invoke", release="cats@1") == [2.0]
    assert values(fleet, "shoal_fleet_class_drifted", release="cats@1") == [1.0]
    assert values(fleet, "shoal_fleet_metadata_expires_timestamp_seconds", role="timestamp")
