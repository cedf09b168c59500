"""A real device in a Home Assistant that the test plays: announced, asked, restarted, taken away."""

import json
import time
from collections.abc import Iterator

import pytest

from agent.adapters.link_mqtt import LinkSettings
from agent.ports.link import Outgoing
from agent.wire import topics
from agent.wire.topics import House, Qos
from tests import models
from tests.mosquittos import Client, client
from tests.rig import DEVICE, Agent, fleet, replay

FILES = '[homeassistant]\nenabled = {}\nprefix = {}\nframe_every_s = 1\n[update]\naccept = "asked"\n'


class Home:
    """A fleet of one, its Home Assistant, and what that hears."""

    def __init__(self, folder, url: str, heard: Client) -> None:
        self.folder, self._client = folder, heard
        self.house = House(f"house-{time.monotonic_ns()}")
        self.fleet = fleet(folder, url)
        self.announcement = self.house.announcement(DEVICE)
        self.model, self.install, self.frame = (
            self.fleet.root.device(channel, DEVICE)
            for channel in (topics.MODEL, topics.INSTALL, topics.FRAME)
        )
        heard.up().hear(self.announcement, self.model, self.frame)

    def agent(self, *, enabled: bool = True) -> Agent:
        more = FILES.format(json.dumps(enabled), json.dumps(self.house.prefix))
        return Agent(self.folder, self.fleet, camera=replay(5.0), more=more)

    def say(self, topic: str, words: bytes, *, retain: bool = False) -> None:
        self._client.link.publish(Outgoing(topic, words, Qos.AT_LEAST_ONCE, retain)).result(30)

    def hears(self, topic: str, until, since: int = 0) -> bytes:
        """The first such message."""

        def found(heard):
            return [m.payload for m in heard[since:] if m.topic == topic and until(m.payload)]

        return found(self._client.heard.wait_until(found, 60.0))[0]

    def hears_model(self, **fields) -> dict:
        def is_so(payload):
            return payload and fields.items() <= json.loads(payload).items()

        return json.loads(self.hears(self.model, is_so))

    @property
    def models(self) -> list[dict]:
        return [
            json.loads(m.payload) for m in self._client.heard.items if m.topic == self.model and m.payload
        ]

    @property
    def heard(self) -> int:
        return len(self._client.heard.items)


@pytest.fixture(scope="module")
def home(any_broker, tmp_path_factory) -> Iterator[Home]:
    host, port = any_broker.url.removeprefix("mqtt://").rsplit(":", 1)
    settings = LinkSettings(host, int(port), f"home-assistant-{time.monotonic_ns()}")
    with client(settings) as heard:
        yield Home(tmp_path_factory.mktemp("home"), any_broker.url, heard)


def test_a_device_lives_in_a_home(home):
    home.fleet.release(models.shared(models.TINY), "1.0.0")
    home.fleet.roll_out("1.0.0")
    home.say(home.install, b"INSTALL", retain=True)
    with home.agent() as agent:
        _waits_and_is_accepted(home)
        _is_announced_again(home)
        home.hears(home.frame, lambda payload: payload.startswith(b"\xff\xd8"))
        home.fleet.release(models.shared(models.TINY_INT8), "1.1.0")
        home.fleet.roll_out("1.1.0")
        offered = home.hears_model(installed_version="1.0.0", latest_version="1.1.0")
        assert not offered["in_progress"]
        home.say(home.install, b"INSTALL 1.0.0")
        home.say(home.install, b"INSTALL 1.1.0")
        home.hears_model(installed_version="1.1.0", latest_version="1.1.0", in_progress=False)
        log = agent.log.read_text()
        assert "it was retained" in log
        assert "'OPEN' is not INSTALL" in log
        assert "rig 1.1.0 waits to be accepted, not 1.0.0" in log
    _leaves_without_a_trace(home)


def _waits_and_is_accepted(home: Home) -> None:
    announced = json.loads(home.hears(home.announcement, bool))
    assert announced["components"]["model"]["command_topic"] == home.install
    offered = home.hears_model(latest_version="1.0.0", in_progress=False)
    assert offered["installed_version"] == "none"
    home.say(home.install, b"OPEN SESAME")
    home.say(home.install, b"INSTALL")
    home.hears_model(installed_version="1.0.0", latest_version="1.0.0", in_progress=False)
    under_way = [model for model in home.models if model["in_progress"]]
    assert {model["latest_version"] for model in under_way} == {"1.0.0"}
    shares = [model["update_percentage"] for model in under_way if model["update_percentage"] is not None]
    assert shares == sorted(shares)
    assert 100 in shares


def _is_announced_again(home: Home) -> None:
    before = home.heard
    home.say(home.house.status(), b"online")
    assert home.hears(home.announcement, bool, since=before)
    assert home.hears(home.model, bool, since=before)


def _leaves_without_a_trace(home: Home) -> None:
    before = home.heard
    with home.agent(enabled=False):
        home.hears(home.announcement, lambda payload: not payload, since=before)
        home.hears(home.model, lambda payload: not payload, since=before)
        memory = home.folder / "device" / "homeassistant.json"
        ends = time.monotonic() + 30
        while memory.exists() and time.monotonic() < ends:
            time.sleep(0.05)
        assert not memory.exists()
