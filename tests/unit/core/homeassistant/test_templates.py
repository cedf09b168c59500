"""The templates, as Jinja2 renders them, over documents as the device sends them."""

import json

import jinja2
import pytest
from msgspec.structs import replace

from agent.core.homeassistant import entities
from agent.wire import codec
from agent.wire.reports import CameraReport, CameraState, Throttling, Vitals
from tests.golden.documents import EXAMPLES

ENVIRONMENT = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
ENVIRONMENT.filters["to_json"] = json.dumps
PREDICTION, REPORT, TELEMETRY = (EXAMPLES[f"{name}.json"] for name in ("prediction", "report", "telemetry"))
BEST = PREDICTION.predictions[0]
UNSURE = replace(PREDICTION, predictions=())
COOL = Vitals(soc_c=48.25, now=Throttling())
WEAK = Vitals(now=Throttling(under_voltage=True))
IDLE = replace(TELEMETRY, predictions=0, latency_ms={})


def rendered(template, document) -> str:
    """Home Assistant strips what a template gives."""
    value = json.loads(codec.encode(document))
    return ENVIRONMENT.from_string(template).render(value_json=value).strip()


def labelled(label):
    return replace(PREDICTION, predictions=(replace(BEST, label=label), *PREDICTION.predictions[1:]))


@pytest.mark.parametrize(
    ("template", "document", "shown"),
    [
        (entities.LABEL, PREDICTION, PREDICTION.predictions[0].label),
        (entities.LABEL, UNSURE, "None"),
        (entities.CONFIDENCE, PREDICTION, str(round(PREDICTION.predictions[0].score * 100, 1))),
        (entities.CONFIDENCE, UNSURE, "None"),
        (entities.P95, TELEMETRY, str(TELEMETRY.latency_ms["invoke"].p95)),
        (entities.P95, IDLE, "None"),
        (entities.FPS, TELEMETRY, str(round(TELEMETRY.fps, 2))),
        (entities.SOC, replace(TELEMETRY, vitals=COOL), "48.25"),
        (entities.SOC, replace(TELEMETRY, vitals=Vitals()), "None"),
        (entities.SOC, replace(TELEMETRY, vitals=None), "None"),
        (entities.THROTTLED, replace(TELEMETRY, vitals=COOL, throttled=False), "OFF"),
        (entities.THROTTLED, replace(TELEMETRY, vitals=COOL, throttled=True), "ON"),
        (entities.THROTTLED, replace(TELEMETRY, vitals=None, throttled=False), "None"),
        (entities.UNDER_VOLTAGE, replace(TELEMETRY, vitals=WEAK), "ON"),
        (entities.UNDER_VOLTAGE, replace(TELEMETRY, vitals=COOL), "OFF"),
        (entities.UNDER_VOLTAGE, replace(TELEMETRY, vitals=Vitals()), "None"),
        (entities.UNDER_VOLTAGE, replace(TELEMETRY, vitals=None), "None"),
        (entities.CAMERA, replace(REPORT, camera=None), "None"),
        (entities.CAMERA, replace(REPORT, camera=CameraReport(state=CameraState.LIVE)), "OFF"),
        (entities.CAMERA, replace(REPORT, camera=CameraReport(state=CameraState.FROZEN)), "ON"),
        (entities.DEGRADED, replace(REPORT, degraded=""), "OFF"),
        (entities.DEGRADED, replace(REPORT, degraded="no Edge TPU"), "ON"),
        (entities.SERVING, replace(REPORT, paused=False), "online"),
        (entities.SERVING, replace(REPORT, paused=True), "offline"),
        (entities.PAUSED, replace(REPORT, paused=False), "OFF"),
        (entities.PAUSED, replace(REPORT, paused=True), "ON"),
    ],
)
def test_a_template_shows_what_the_document_says(template, document, shown):
    assert rendered(template, document) == shown


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("None", '"None"'),
        (" None ", '"None"'),
        ("unknown", '"unknown"'),
        ("unavailable", '"unavailable"'),
        ("", '""'),
        ("Unknown", "Unknown"),
        ("none of these", "none of these"),
        ('12" pizza', '12" pizza'),
        ("{{ states }} %s", "{{ states }} %s"),
        ("x" * 300, "x" * 255),
        ("é" * 300, "é" * 255),
    ],
)
def test_no_label_reads_as_if_there_were_none(label, shown):
    assert rendered(entities.LABEL, labelled(label)) == shown


@pytest.mark.parametrize(
    ("template", "document"),
    [
        (entities.RANKING, PREDICTION),
        (entities.RANKING, UNSURE),
        (entities.CAMERA_WHY, replace(REPORT, camera=None)),
        (entities.CAMERA_WHY, REPORT),
        (entities.DEGRADED_WHY, REPORT),
    ],
)
def test_attributes_are_an_object(template, document):
    assert isinstance(json.loads(rendered(template, document)), dict)
