"""What happens in a house within a week, in a real Home Assistant: `make test-homeassistant`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.adapters.link_mqtt import LinkSettings
from agent.wire import topics
from agent.wire.topics import DeviceId
from tests import models, rig
from tests.brokers import PlainMosquitto
from tests.homeassistant.hass import PYTHON, Hass
from tests.mosquittos import client
from tests.rig import Agent, Fleet, fleet, replay

pytestmark = pytest.mark.skipif(not PYTHON, reason="make test-homeassistant brings a Home Assistant")

PAGE = "http://pi-1.local:8480/"
SECTIONS = """\
[homeassistant]
enabled = true
name = "{}"
url = "{}"
[update]
accept = "asked"
"""
DOOR = '[pipeline.door]\nstream = "main"\n[pipeline.door.camera]\n' + replay(2.0)
GARDEN = DeviceId("garden")
LABEL, UPDATE = "sensor.edge_camera_top_label", "update.edge_camera_model"
OF_DOOR, OF_GARDEN = "sensor.edge_camera_door_top_label", "sensor.edge_camera_2_top_label"
UPDATES = (UPDATE, "update.edge_camera_door_model", "update.edge_camera_2_model")
CLASSES = 1001
DELETED = "No device components to cleanup for rig"
"""What it says of each message by which it takes away itself what a person has deleted."""
NONE = {"unknown", "unavailable", "gone"}


class House:
    def __init__(self, folder: Path, hass: Hass, made: Fleet) -> None:
        self.folder, self.hass, self.made = folder, hass, made
        self.broker_port = int(made.url.rpartition(":")[2])
        (folder / "garden").mkdir()

    def camera(self, name: str = "Edge camera") -> Agent:
        more = SECTIONS.format(name, PAGE) + DOOR
        return Agent(self.folder, self.made, camera=replay(2.0), more=more)

    def garden(self) -> Agent:
        """Another device of the same name, with the same model."""
        more = SECTIONS.format("Edge camera 2", "")
        return Agent(self.folder / "garden", self.made, camera=replay(2.0), more=more, device=GARDEN)

    def state(self, entity_id: str) -> str:
        found = self.hass.entity(entity_id)
        return "gone" if found is None else found["state"]

    def sees(self, *entities: str) -> None:
        self.hass.until(lambda: all(self.state(each) not in NONE for each in entities))

    def update(self) -> dict[str, object]:
        found = self.hass.entity(UPDATE)
        return {} if found is None else found["attributes"]

    def offers(self, version: str, shown: str = "") -> None:
        self.made.roll_out(version)
        latest = shown or version
        self.hass.until(lambda: self.update().get("latest_version") == latest and self.state(UPDATE) == "on")

    def installs(self, version: str, *entities: str) -> None:
        for each in entities:
            self.hass.until(lambda each=each: self.state(each) == "on")
            self.hass.call("update/install", entity_id=each)
        self.hass.until(lambda: self.update()["installed_version"] == version)

    def ids(self) -> dict[str, str]:
        return {unique: each["entity_id"] for unique, each in self.hass.registered().items()}


@pytest.fixture
def house(tmp_path) -> Iterator[House]:
    with PlainMosquitto(tmp_path) as broker, Hass(tmp_path / "hass") as hass:
        hass.set_up(broker.port)
        made = fleet(tmp_path, broker.url)
        made.release(models.shared(models.TINY), "1.0.0")
        yield House(tmp_path, hass, made)
        assert [each for each in hass.complaints if DELETED not in each] == []


def test_a_house_lives_with_two_devices_for_a_week(house):
    with house.garden(), house.camera() as camera:
        house.offers("1.0.0")
        house.installs("1.0.0", *UPDATES)
        house.sees(LABEL, OF_DOOR, OF_GARDEN)
        assert house.update()["release_url"] == PAGE
        ids = house.ids()
        is_sorted_well(house.hass)
        pauses(house)
        is_refused_and_offered_a_newer_one(house)
        goes_back(house)
        camera.stop()
        with house.camera("Front door") as renamed:
            house.hass.until(lambda: friendly(house) == "Front door Top label")
            house.sees(LABEL, OF_DOOR)
            assert house.ids() == ids
            is_deleted(house)
            renamed.stop()
        assert house.state(OF_GARDEN) not in NONE, "of another device"
        with house.camera():
            house.sees(LABEL, OF_DOOR)
            assert house.ids() == ids
            labels_that_say_nothing(house)


def friendly(house: House) -> str:
    found = house.hass.entity(LABEL)
    return "" if found is None else found["attributes"]["friendly_name"]


def is_sorted_well(hass: Hass) -> None:
    """What is seen stands at the top of the device's card, how it fares below."""
    category = {
        unique.removeprefix("shoal_rig_"): e["entity_category"] for unique, e in hass.registered().items()
    }
    assert {category[key] for key in ("top1", "conf", "img", "model", "door_top1")} == {None}
    diagnostic = ("p95", "fps", "soc", "thr", "volt", "cam", "degr", "paus", "door_fps")
    assert {category[key] for key in diagnostic} == {"diagnostic"}


def pauses(house: House) -> None:
    workspace = str(house.made.workspace.folder)
    rig.shoal("command", rig.DEVICE, "pause", "--workspace", workspace)
    house.hass.until(lambda: house.state(LABEL) == "unavailable")
    house.hass.until(lambda: house.state("binary_sensor.edge_camera_paused") == "on")
    assert house.state("sensor.edge_camera_confidence") == "unavailable"
    assert house.state(OF_DOOR) not in NONE, "of another pipeline"
    rig.shoal("command", rig.DEVICE, "resume", "--workspace", workspace)
    house.sees(LABEL)
    house.hass.until(lambda: house.state("binary_sensor.edge_camera_paused") == "off")


def is_refused_and_offered_a_newer_one(house: House) -> None:
    cut_off = models.shared(models.TINY).read_bytes()[:-200_000]
    house.made.release_bytes(house.made.manifest("1.0.0"), "1.1.0", cut_off)
    house.offers("1.1.0")
    house.hass.call("update/install", entity_id=UPDATE)
    house.hass.until(lambda: house.state(UPDATE) == "off")
    assert str(house.update()["release_summary"]).startswith("rig 1.1.0 was refused: ")
    house.made.release(models.shared(models.TINY_INT8), "1.2.0")
    house.offers("1.2.0")
    assert house.update()["release_summary"] == "It waits to be accepted."
    house.installs("1.2.0", UPDATE)
    assert house.state(UPDATE) == "off"


def goes_back(house: House) -> None:
    """A lower version is no update to it, and is offered all the same."""
    content = models.shared(models.TINY).read_bytes()
    house.made.release_bytes(house.made.manifest("1.0.0"), "1.1.9", content)
    house.offers("1.1.9", "rig 1.1.9")
    house.installs("1.1.9", UPDATE)
    assert house.state(UPDATE) == "off"


def is_deleted(house: House) -> None:
    """By hand: it is gone, from the broker too, until it announces itself anew."""
    house.hass.delete("shoal-rig")
    house.hass.until(lambda: not {LABEL, UPDATE, OF_DOOR} & set(house.hass.entities()))
    with client(LinkSettings("127.0.0.1", house.broker_port, "whoever")) as whoever:
        whoever.up().hear("homeassistant/#")
        whoever.say("homeassistant/last", b"x")
        whoever.heard.wait_until(lambda heard: heard[-1].topic == "homeassistant/last")
        assert whoever.topics == [topics.House().announcement(GARDEN), "homeassistant/last"]


def labels_that_say_nothing(house: House) -> None:
    """A thousand classes of the name None."""
    content = models.shared(models.TINY).read_bytes()
    house.made.release_bytes(house.made.manifest("1.0.0"), "1.3.0", content, labels=b"None\n" * CLASSES)
    house.offers("1.3.0")
    house.installs("1.3.0", UPDATE)
    house.hass.until(lambda: house.state(LABEL) == '"None"')
