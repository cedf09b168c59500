"""A real device in a real Home Assistant: `make test-homeassistant`."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests import models
from tests.brokers import PlainMosquitto
from tests.homeassistant.hass import PYTHON, Hass
from tests.rig import DEVICE, Agent, Fleet, fleet, replay

pytestmark = pytest.mark.skipif(not PYTHON, reason="make test-homeassistant brings a Home Assistant")

NAME = "Edge camera"
SECTIONS = """\
[homeassistant]
enabled = {}
name = "{}"
area = "Hall"
frame_every_s = 1
[update]
accept = "asked"
"""
UPDATE = "update.edge_camera_model"
LABEL, CONFIDENCE = "sensor.edge_camera_top_label", "sensor.edge_camera_confidence"
P95, FPS = "sensor.edge_camera_inference_p95", "sensor.edge_camera_frame_rate"
IMAGE = "image.edge_camera_last_frame"
CAMERA, DEGRADED = "binary_sensor.edge_camera_camera_problem", "binary_sensor.edge_camera_degraded"
HOST = {
    "sensor.edge_camera_soc_temperature",
    "binary_sensor.edge_camera_throttled",
    "binary_sensor.edge_camera_under_voltage",
}
LOST = "The connection was lost"
"""What it says of a broker that was killed."""
ALL = {UPDATE, LABEL, CONFIDENCE, P95, FPS, IMAGE, CAMERA, DEGRADED} | HOST


@pytest.fixture
def broker(tmp_path) -> Iterator[PlainMosquitto]:
    with PlainMosquitto(tmp_path) as started:
        yield started


def agent(tmp_path, made: Fleet, *, enabled: bool = True) -> Agent:
    more = SECTIONS.format(json.dumps(enabled), NAME)
    return Agent(tmp_path, made, camera=replay(5.0), more=more)


def state(hass: Hass, entity_id: str) -> str:
    found = hass.entity(entity_id)
    return "gone" if found is None else found["state"]


def number(hass: Hass, entity_id: str) -> float:
    """0 where there is none."""
    told = state(hass, entity_id)
    return 0.0 if told in {"unknown", "unavailable"} else float(told)


def versions(hass: Hass) -> tuple[str, str, bool]:
    found = hass.entity(UPDATE)
    assert found is not None
    told = found["attributes"]
    return told["installed_version"], told["latest_version"], bool(told["in_progress"])


def test_a_home_shows_the_device_and_installs_what_it_offers(broker, tmp_path):
    made = fleet(tmp_path, broker.url)
    made.release(models.shared(models.TINY), "1.0.0")
    made.roll_out("1.0.0")
    with Hass(tmp_path / "hass") as hass:
        hass.set_up(broker.port)
        with agent(tmp_path, made) as device:
            hass.until(lambda: set(hass.entities()) >= ALL)
            hass.until(lambda: state(hass, UPDATE) == "on")
            assert versions(hass) == ("none", "1.0.0", False)
            installs(hass, "1.0.0")
            serves(hass)
            made.release(models.shared(models.TINY_INT8), "1.1.0")
            made.roll_out("1.1.0")
            hass.until(lambda: state(hass, UPDATE) == "on")
            assert versions(hass) == ("1.0.0", "1.1.0", False)
            installs(hass, "1.1.0")
            refuses(hass, made)
            comes_back(hass)
            dies_and_is_back(hass, device.kill, device.start)
            dies_and_is_back(hass, broker.kill, broker.start)
        hass.until(lambda: state(hass, LABEL) == "unavailable")
        with agent(tmp_path, made, enabled=False):
            hass.until(lambda: not hass.entities())
        assert [each for each in hass.complaints if LOST not in each] == []


def installs(hass: Hass, version: str) -> None:
    hass.call("update/install", entity_id=UPDATE)
    hass.until(lambda: versions(hass) == (version, version, False))
    assert state(hass, UPDATE) == "off"


def refuses(hass: Hass, made: Fleet) -> None:
    """A release that does not load: the one before it stays, and the summary says why."""
    cut_off = models.shared(models.TINY).read_bytes()[:-200_000]
    made.release_bytes(made.manifest("1.0.0"), "1.2.0", cut_off)
    made.roll_out("1.2.0")
    hass.until(lambda: versions(hass) == ("1.1.0", "1.2.0", False))
    hass.call("update/install", entity_id=UPDATE)
    hass.until(lambda: versions(hass) == ("1.1.0", "1.1.0", False))
    found = hass.entity(UPDATE)
    assert found is not None
    assert found["attributes"]["release_summary"].startswith("rig 1.2.0 was refused: ")


def serves(hass: Hass) -> None:
    hass.until(lambda: number(hass, CONFIDENCE) > 0)
    label = hass.entity(LABEL)
    assert label is not None
    assert label["state"] == label["attributes"]["predictions"][0]["label"]
    assert label["attributes"]["version"] == "1.0.0"
    hass.until(lambda: number(hass, P95) > 0)
    hass.until(lambda: number(hass, FPS) > 0)
    assert (state(hass, CAMERA), state(hass, DEGRADED)) == ("off", "off")
    assert all(state(hass, each) != "unavailable" for each in HOST)
    hass.until(lambda: state(hass, IMAGE) != "unknown")
    assert hass.picture(IMAGE).startswith(b"\xff\xd8")
    assert hass.render(f"{{{{ device_attr('{UPDATE}', 'serial_number') }}}}") == DEVICE
    assert hass.render(f"{{{{ area_name('{UPDATE}') }}}}") == "Hall"


def comes_back(hass: Hass) -> None:
    """After a restart of Home Assistant: what it read before is read again."""
    hass.stop()
    hass.start()
    hass.until(lambda: set(hass.entities()) >= ALL)
    hass.until(lambda: state(hass, LABEL) not in {"unknown", "unavailable"})
    hass.until(lambda: state(hass, UPDATE) == "off")


def dies_and_is_back(hass: Hass, kill: Callable[[], None], start: Callable[[], None]) -> None:
    kill()
    hass.until(lambda: all(state(hass, each) == "unavailable" for each in ALL))
    start()
    hass.until(lambda: state(hass, LABEL) not in {"unknown", "unavailable"})
    hass.until(lambda: state(hass, UPDATE) == "off")
