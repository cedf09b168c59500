"""A running device: its file changes under it, and it is examined beside its back."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.wire import topics
from agent.wire.topics import CHECK, Qos
from deploy.adapters.broker_local import LocalBroker
from tests import models
from tests.brokers import Inbox
from tests.mosquittos import free_port
from tests.rig import DEVICE, Agent, Ear, Fleet, fleet, listening

MORE = "[log]\nverbose = false\n"


@pytest.fixture(scope="module")
def device(
    any_broker: LocalBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Fleet, Ear, Agent, Path]]:
    folder = tmp_path_factory.mktemp("device")
    made = fleet(folder, any_broker.url)
    made.release(models.shared(models.TINY), "1")
    made.roll_out("1")
    with listening(made) as ear, Agent(folder, made, more=MORE) as agent:
        assert ear.ended("1")["outcome"] == "committed"
        yield made, ear, agent, folder / "device.toml"


def reloaded(ear: Ear, name: str, count: int) -> dict[str, str | int | float]:
    heard = ear.wait(lambda heard: sum(event.name == name for event in heard.events) >= count, 20.0)
    return [event.fields for event in heard.events if event.name == name][count - 1]


def test_a_changed_file_takes_effect_on_sighup_as_far_as_it_can(device):
    _, ear, agent, path = device
    assert agent.process is not None
    before = path.read_text()
    changed = before.replace("window_s = 1\n", "window_s = 2\n[emission]\nmode = 'change'\nheartbeat_s = 0\n")
    path.write_text(changed.replace("timeout_s = 5\n", "timeout_s = 6\n"))
    agent.process.send_signal(signal.SIGHUP)
    told = reloaded(ear, "config.reloaded", 1)
    assert told["applied"] == 3
    assert told["needs_restart"] == 1
    assert "telemetry.window_s 1.0 -> 2.0" in str(told["changes"])
    assert str(told["changes"]).endswith("after a restart: trust.timeout_s 5.0 -> 6.0")
    seen = len(ear.heard.telemetry)
    rarer = ear.wait(lambda heard: len(heard.telemetry) > seen + 2, 20.0).telemetry[-1]
    assert rarer.published < rarer.predictions
    assert rarer.window_s == pytest.approx(2.0, abs=0.5)

    path.write_text(f"{changed}[camera]\nrate = 1\n")
    agent.process.send_signal(signal.SIGHUP)
    refused = reloaded(ear, "config.refused", 1)
    assert str(refused["detail"]).endswith("; the settings stay as they were")

    path.write_text(before)
    agent.process.send_signal(signal.SIGHUP)
    assert "emission.mode 'change' -> 'every'" in str(reloaded(ear, "config.reloaded", 2)["changes"])
    assert agent.running()


def test_a_running_device_is_examined_without_being_disturbed(device):
    made, _, agent, path = device
    kept: Inbox = Inbox()
    host, port = made.url.removeprefix("mqtt://").rsplit(":", 1)
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "agent", "check", "--json", "--config", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert not ended.stderr
    answer = json.loads(ended.stdout)
    found = {finding["name"]: finding for finding in answer["findings"]}
    assert answer["serves"]
    assert ended.returncode == 0
    assert found["agent.running"]["facts"]["pid"] == agent.process.pid
    for name in ("config", "runtime", "delegate", "speed", "camera", "trust", "broker"):
        assert found[name]["severity"] == "ok", found[name]
    assert found["speed"]["facts"]["model"] == "rig 1"
    assert found["broker"]["facts"]["round_trip_ms"] > 0
    settings = {setting["key"]: setting for setting in answer["settings"]}
    assert (settings["device.id"]["value"], settings["device.id"]["line"]) == (DEVICE, 2)

    link = MqttLink(LinkSettings(host, int(port), "what-is-kept"))
    try:
        link.subscribe(
            [made.root.device(CHECK, DEVICE), made.root.device(topics.STATUS, DEVICE)],
            Qos.AT_LEAST_ONCE,
            kept,
        )
        link.open(lambda _: None)
        [status] = kept.wait_for(1)
        assert b"online" in status.payload
    finally:
        link.close()


def test_a_storm_of_sighup_is_survived_in_silence(device):
    _, ear, agent, path = device
    before = path.read_text()
    for _ in range(3000):
        agent.process.send_signal(signal.SIGHUP)
    # A reload may be under way, and must not read half a file.
    whole = path.with_suffix(".new")
    whole.write_text(before.replace("window_s = 1\n", "window_s = 3\n"))
    whole.replace(path)
    agent.process.send_signal(signal.SIGHUP)
    ear.wait(
        lambda heard: any("1.0 -> 3.0" in str(event.fields.get("changes")) for event in heard.events), 20.0
    )
    path.write_text(before)
    assert agent.running()
    assert "Traceback" not in agent.log.read_text()


def test_a_page_for_the_network_comes_with_sighup_and_lets_in_whoever_knows_its_password(device, tmp_path):
    _, _, agent, path = device
    password, port = tmp_path / "password", free_port()
    password.write_text("a wet shoal\n")
    before = path.read_text()
    page = f'[web]\nlisten = "0.0.0.0:{port}"\npassword_file = "{password}"\n'
    path.write_text(f"{before}{page}")
    agent.process.send_signal(signal.SIGHUP)
    url = f"http://{_own_address()}:{port}"
    assert _asked(f"{url}/api/now").code == 401
    browser = build_opener(HTTPCookieProcessor())
    for wrong in range(3):
        guess = Request(f"{url}/api/sign-in", json.dumps({"password": str(wrong)}).encode(), JSON)
        assert _asked(guess, browser).code == 401
    right = Request(f"{url}/api/sign-in", b'{"password": "a wet shoal"}', JSON)
    assert _asked(right, browser).code == 200
    with _asked(f"{url}/api/now", browser) as answer:
        assert json.load(answer)["pipelines"]["main"]["report"]["active"]["version"] == "1"
    assert _asked(f"{url}/api/now").code == 401
    path.write_text(before)
    agent.process.send_signal(signal.SIGHUP)
    assert agent.running()


JSON = {"Content-Type": "application/json"}


def _own_address() -> str:
    """Of this host as its neighbours see it; loopback where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return line.getsockname()[0]


def _asked(wanted, opener=None, within_s: float = 30.0):
    """What it answers, once it listens."""
    end = time.monotonic() + within_s
    while True:
        try:
            return (opener or build_opener()).open(wanted, timeout=within_s)
        except HTTPError as refused:
            return refused
        except URLError:
            assert time.monotonic() < end, "no page has come up"
            time.sleep(0.1)
