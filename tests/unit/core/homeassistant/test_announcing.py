import json
import re
from dataclasses import replace

import msgspec
import pytest
from msgspec import Struct, ValidationError

from agent.core.homeassistant.announcing import Announced, announcement, encode, remembered
from agent.wire.homeassistant import ModelState
from agent.wire.topics import House
from tests.unit.core.homeassistant.documents import (
    ANNOUNCEMENT,
    BEFORE,
    DOCUMENTS,
    FOLDER,
    MODELS,
    PORTRAIT,
    SCENE,
    shown,
)

HOUSE = House()


class _Component(Struct, forbid_unknown_fields=True):
    """Every key that the platforms take of those that we say; source: `wire.homeassistant`."""

    platform: str
    unique_id: str
    name: str
    icon: str = "mdi:tag"
    device_class: str = "problem"
    entity_category: str = "diagnostic"
    state_topic: str = ""
    value_template: str = "{{ value_json.x }}"
    unit_of_measurement: str = "ms"
    state_class: str = "measurement"
    suggested_display_precision: int = 0
    expire_after: int = 1
    json_attributes_topic: str = ""
    json_attributes_template: str = "{{ {} }}"
    image_topic: str = ""
    content_type: str = "image/jpeg"
    command_topic: str = ""
    payload_install: str = "INSTALL"
    title: str = "Model"
    release_url: str = "http://pi-7.local:8480/"
    availability: list[dict[str, str]] = []
    availability_mode: str = "all"


NEEDED = {
    "sensor": {"state_topic", "value_template"},
    "binary_sensor": {"state_topic", "value_template"},
    "image": {"image_topic", "content_type"},
    "update": {"state_topic", "command_topic", "payload_install"},
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_told_is_what_stands_beside_this_file(name):
    assert (FOLDER / name).read_bytes() == shown(DOCUMENTS[name])


def components() -> dict[str, dict]:
    return json.loads(encode(ANNOUNCEMENT))["components"]


def test_every_component_says_what_its_platform_needs_and_nothing_empty():
    for key, component in components().items():
        if key not in BEFORE.components:
            msgspec.convert(component, _Component)
            assert component.keys() >= NEEDED[component["platform"]], key
            assert not [value for value in component.values() if value in ("", None)], key


def test_every_entity_is_its_own():
    named = [c["unique_id"] for c in components().values() if "unique_id" in c]
    assert len(named) == len(set(named))
    assert all(name.startswith("shoal_pi-7_") for name in named)


def test_the_host_is_told_once_and_each_pipeline_speaks_of_itself():
    keys = components().keys()
    assert {"temp", "thr", "volt", "top1", "door_top1", "door_model"} <= keys
    assert not {"door_temp", "door_thr", "door_volt"} & keys
    assert components()["door_top1"]["state_topic"].endswith("/prediction/door")


def test_what_was_announced_once_and_is_no_more_is_taken_away():
    assert components()["old_top1"] == {"platform": "sensor"}
    now = remembered(SCENE, HOUSE, ("main",), Announced())
    fewer = announcement(SCENE, PORTRAIT, ("main",), remembered(SCENE, HOUSE, ("main", "door"), now))
    assert json.loads(encode(fewer))["components"]["door_img"] == {"platform": "image"}


def test_what_was_seen_is_unavailable_while_paused_and_once_it_is_old():
    for key, pipeline in (("top1", ""), ("conf", ""), ("door_top1", "/door"), ("door_conf", "/door")):
        told = components()[key]
        topics = ["shoal/home/device/6/pi-7/status", f"shoal/home/device/6/pi-7/report{pipeline}"]
        assert [each["topic"] for each in told["availability"]] == topics
        assert told["availability_mode"] == "all"
    assert (components()["top1"]["expire_after"], components()["conf"]["expire_after"]) == (180, 180)
    assert "expire_after" not in components()["door_top1"], "where any silence may be long"


def test_no_picture_is_announced_where_none_leaves_the_device():
    blind = replace(SCENE, pictures=False)
    assert "img" not in announcement(blind, PORTRAIT, ("main",), Announced()).components


def test_all_that_is_retained_is_remembered():
    topics = remembered(SCENE, HOUSE, ("main", "door"), Announced()).topics
    assert topics == (
        "homeassistant/device/pi-7/config",
        "shoal/home/device/6/pi-7/model",
        "shoal/home/device/6/pi-7/model/door",
    )


def test_a_model_state_has_exactly_the_keys_of_the_strict_schema():
    allowed = {
        "installed_version", "latest_version", "title", "release_summary", "release_url", "entity_picture",
        "in_progress", "update_percentage",
    }  # fmt: skip
    for model in MODELS:
        told = json.loads(msgspec.json.encode(model))
        assert told.keys() <= allowed
        assert all(value is not None for key, value in told.items() if key != "update_percentage")
        assert re.fullmatch(r"none|\d+\.\d+\.\d+", told["latest_version"])


@pytest.mark.parametrize("change", [{"update_percentage": 101}, {"release_summary": "x" * 256}])
def test_no_model_state_passes_its_bounds(change):
    told = msgspec.to_builtins(MODELS[0]) | change
    with pytest.raises(ValidationError):
        msgspec.convert(told, ModelState)
