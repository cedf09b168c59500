"""Mosquittos with the configuration that `shoal broker-config` writes, on loopback."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent import config
from agent.adapters.link_mqtt import LinkSettings, MqttLink, Tls
from agent.assemble.links import link_settings
from agent.ports.link import LinkState, Message, Outgoing, Up
from agent.wire.topics import DeviceId, Qos
from deploy.adapters.broker_local import _free_port as free_port
from deploy.adapters.broker_local import mosquitto_path
from deploy.cli.main import main
from tests.brokers import Inbox

HOST = "127.0.0.1"
READY_S = 30.0
SAVE_S = 1
"""Half of what is written by default."""


@dataclass(slots=True)
class Mosquitto:
    """One that runs from a folder that `shoal broker-config` wrote."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"mqtts://{HOST}:{self.port}"

    def start(self) -> None:
        found = mosquitto_path()
        assert found is not None
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [found, "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        listening = f":{self.port:04X} 00000000:0000 0A"
        until(lambda: listening in Path("/proc/net/tcp").read_text() or self._gone())

    def _gone(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "broker.log").read_text()
        return False

    def reload(self) -> None:
        """Who connects after it is judged by the files as they are now."""
        assert self.process is not None
        before = self._reloads()
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self._reloads() > before)

    def _reloads(self) -> int:
        return (self.folder / "broker.log").read_text().count("Reloading config.")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


def until(holds, within_s: float = READY_S) -> None:
    """Fails the test where it does not come true."""
    ends = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends, f"not within {within_s:g} s"
        time.sleep(0.02)


def options(folder: Path, port: int) -> list[str]:
    """Of `shoal broker-config`, for a broker that runs from this folder."""
    user = ["--user", "root"] if os.geteuid() == 0 else []
    return [
        "--host", HOST, "--listen", HOST, "--port", str(port), "--out", str(folder), "--place", str(folder),
        "--store", str(folder), "--save-s", str(SAVE_S), *user,
    ]  # fmt: skip


@contextlib.contextmanager
def running(folder: Path, port: int) -> Iterator[Mosquitto]:
    broker = Mosquitto(folder, port)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def require() -> None:
    if mosquitto_path() is None:
        pytest.skip("mosquitto is not installed")


@dataclass(slots=True)
class Client:
    """Somebody who is connected, or tries to be; `keys` has ca.pem and his certificate."""

    link: MqttLink
    states: Inbox[LinkState] = field(default_factory=Inbox)
    heard: Inbox[Message] = field(default_factory=Inbox)

    def up(self) -> "Client":
        self.states.wait_until(lambda states: isinstance(states[-1], Up), READY_S)
        return self

    def hear(self, *filters: str) -> None:
        self.link.subscribe(filters, Qos.AT_LEAST_ONCE, self.heard)

    def say(self, topic: str, content: bytes, *, retain: bool = False) -> None:
        self.link.publish(Outgoing(topic, content, Qos.AT_LEAST_ONCE, retain)).result(READY_S)

    @property
    def topics(self) -> list[str]:
        return [message.topic for message in self.heard.items]


@contextlib.contextmanager
def client(settings: LinkSettings) -> Iterator[Client]:
    made = Client(MqttLink(settings))
    made.link.open(made.states)
    try:
        yield made
    finally:
        made.link.close()


@dataclass(frozen=True, slots=True)
class Fleet:
    folder: Path
    broker: Mosquitto
    password_port: int

    def shoal(self, *words: str) -> None:
        assert main([*words, "--workspace", str(self.folder)]) == 0

    def enrol(self, device: str, folder: Path, *words: str) -> config.Settings:
        """What the device reads, where its script was run."""
        self.shoal("enrol", device, *words)
        script = self.folder / "enrolled" / f"{device}.sh"
        subprocess.run(
            ["sh"],
            input=script.read_bytes(),
            env={"PATH": os.environ["PATH"], "SHOAL_ETC": str(folder)},
            check=True,
            capture_output=True,
        )
        return config.read(folder / "agent.toml")

    @property
    def operator(self) -> LinkSettings:
        return operators(self, self.broker.port)


def operators(fleet: Fleet, port: int) -> LinkSettings:
    """On any broker of the fleet."""
    keys = fleet.folder / "keys"
    tls = Tls(keys / "ca/ca.pem", keys / "operator.pem", keys / "operator.key")
    return LinkSettings(HOST, port, f"operator-{time.monotonic_ns()}", tls=tls, backoff_cap_s=1.0)


def as_device(settings: config.Settings) -> LinkSettings:
    return link_settings(settings.broker, DeviceId(settings.device.id), None)


@contextlib.contextmanager
def secured(folder: Path) -> Iterator[Fleet]:
    """A workspace, and its broker with TLS; the operator's settings know it."""
    port, password_port = free_port(), free_port()
    workspace, broker = folder / "fleet", folder / "fleet/broker"
    assert main(["init", str(workspace), "--broker", f"mqtts://{HOST}:{port}"]) == 0
    where = ["--workspace", str(workspace), "--password-port", str(password_port)]
    assert main(["broker-config", *where, *options(broker, port)]) == 0
    names = {"ca": "ca/ca.pem", "certificate": "operator.pem", "key": "operator.key"}
    with (workspace / "shoal.toml").open("a") as settings:
        settings.writelines(f'{name} = "keys/{path}"\n' for name, path in names.items())
    with running(broker, port) as started:
        yield Fleet(workspace, started, password_port)
