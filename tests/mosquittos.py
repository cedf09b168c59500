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

from agent.adapters.link_mqtt import LinkSettings, MqttLink, Tls
from agent.ports.link import LinkState, Message, Outgoing, Up
from agent.wire.topics import Qos
from deploy.adapters.broker_local import mosquitto_path
from tests.brokers import Inbox

HOST = "127.0.0.1"
READY_S = 30.0


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
        "--store", str(folder), *user,
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


def by_certificate(port: int, ca: Path, certificate: Path, key: Path, name: str) -> LinkSettings:
    return LinkSettings(HOST, port, f"test-{name}", tls=Tls(ca, certificate, key), backoff_cap_s=1.0)
