"""A broker of our own on a free loopback port, for as long as it is needed.

Mosquitto where it is installed, else the embedded one (see `broker_embedded`, which says why that one).
It runs in a process of its own, answers a real CONNECT before it is handed over, and is gone afterwards, also
where this process is killed: the embedded one by the end of its standard input, Mosquitto by the kernel.
What it says stands in `broker.log` in its folder.
"""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from agent.wire.errors import ConfigError, PortError

HOST: Final = "127.0.0.1"
READY_S: Final = 60.0
"""For a slow card and a busy machine; a broker that ends is noticed at once."""
STOP_S: Final = 2.0
PORTS_TRIED: Final = 5

_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
_CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x1e\x00\x05probe"
_ACCEPTED = b"\x20\x02\x00\x00"


class BrokerKind(StrEnum):
    MOSQUITTO = "mosquitto"
    EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class LocalBroker:
    kind: BrokerKind
    host: str
    port: int
    log: Path
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"


def mosquitto_path() -> str | None:
    """Where Mosquitto is: distributions put it into sbin, which is not on everybody's PATH."""
    return shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), *_PLACES)))


def installed_kinds() -> tuple[BrokerKind, ...]:
    """The brokers that this machine can start, the preferred one first."""
    found = {
        BrokerKind.MOSQUITTO: mosquitto_path() is not None,
        BrokerKind.EMBEDDED: importlib.util.find_spec("amqtt") is not None,
    }
    return tuple(kind for kind, there in found.items() if there)


@contextlib.contextmanager
def start_broker(
    folder: Path,
    *,
    kind: BrokerKind | None = None,
    port: int | None = None,
    settings: Callable[[Path, int], str] | None = None,
) -> Iterator[LocalBroker]:
    """Run a broker that keeps its files in the folder, until the block is left, or the thread that starts it
    ends: it is the thread that the kernel takes for the parent.

    Args:
        folder: exists, or is made; Mosquitto keeps retained messages in it across starts.
        kind: which broker; the best that is installed if None.
        port: a free one if None.
        settings: of Mosquitto, by folder and port; `mosquitto_settings` if None.

    Raises:
        ConfigError: no broker (or not the one that was asked for) is installed.
        PortError: it did not start; the message holds the end of its log.
    """
    broker = _start(folder, _choose(kind), port, settings or mosquitto_settings)
    try:
        yield broker
    finally:
        _stop(broker.process)


def _choose(kind: BrokerKind | None) -> BrokerKind:
    installed = installed_kinds()
    if kind is None and installed:
        return installed[0]
    if kind is None or kind not in installed:
        wanted = "a broker" if kind is None else f"the {kind} broker"
        raise ConfigError(
            f"{wanted} is not installed: install mosquitto from your distribution, "
            "or the embedded broker with pip install 'shoal[demo]', or name a broker that runs elsewhere"
        )
    return kind


def _start(
    folder: Path, kind: BrokerKind, port: int | None, settings: Callable[[Path, int], str]
) -> LocalBroker:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "broker.log"
    for _ in range(PORTS_TRIED if port is None else 1):
        # Another program may take the free port before the broker does: then the next one is tried.
        chosen = _free_port() if port is None else port
        process = _spawn(_command(kind, folder, chosen, settings), log)
        broker = LocalBroker(kind, HOST, chosen, log, process)
        if _ready(broker):
            return broker
        _stop(process)
    raise PortError(f"the {kind} broker did not start within {READY_S:g} s: {_last_words(log)}")


def _command(kind: BrokerKind, folder: Path, port: int, settings: Callable[[Path, int], str]) -> list[str]:
    if kind is BrokerKind.EMBEDDED:
        return [sys.executable, "-P", "-m", "deploy.adapters.broker_embedded", str(port)]
    path = folder / "mosquitto.conf"
    path.write_text(settings(folder, port))
    found = mosquitto_path()
    assert found is not None
    return [*_dies_with_us(), found, "-c", str(path)]


def _dies_with_us() -> tuple[str, ...]:
    """Begins the command of a program that knows nothing of its parent; nothing where there is no Linux."""
    found = shutil.which("setpriv")
    return () if found is None else (found, "--pdeathsig", "KILL", "--")


def mosquitto_defaults(folder: Path, port: int) -> str:
    """No more than a Mosquitto needs to be reached: queues, Nagle and persistence are as it comes."""
    del folder
    user = ("user root",) if os.geteuid() == 0 else ()
    return "\n".join((f"listener {port} {HOST}", "allow_anonymous true", "log_dest stderr", *user, ""))


def mosquitto_settings(folder: Path, port: int) -> str:
    """The configuration of a Mosquitto for one machine.

    Its own defaults lose retained messages on a kill (saved every 30 minutes), cut readers off after
    1,000 queued messages without a word, and leave Nagle's algorithm on. Saving on every change writes the
    whole store each time: 4.7 GB and 14 s for a model of 25 MB, so it saves every two seconds.
    """
    lines = [
        f"listener {port} {HOST}",
        "allow_anonymous true",
        "set_tcp_nodelay true",
        "persistence true",
        f"persistence_location {folder.resolve()}/",
        "autosave_on_changes false",
        "autosave_interval 2",
        "max_queued_messages 10000",
        "max_packet_size 1048576",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
    ]
    if os.geteuid() == 0:
        # Else it would become the user mosquitto, who may not write into the folder.
        lines.append("user root")
    return "\n".join([*lines, ""])


def _spawn(command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    # Standard input stays open as long as this process lives: the embedded broker ends with it. Ctrl-C is for
    # who started it: the broker still has to take what the others say at their end.
    with log.open("ab") as said:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=said, stderr=said, start_new_session=True
        )


def _ready(broker: LocalBroker) -> bool:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and broker.process.poll() is None:
        if _accepts(broker.port):
            return broker.process.poll() is None
        time.sleep(0.02)
    return False


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(_CONNECT)
            return connection.recv(4) == _ACCEPTED and connection.send(b"\xe0\x00") == 2
    except OSError:
        return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _last_words(log: Path) -> str:
    said = log.read_text(errors="replace").strip()
    return said[-400:] or "it said nothing"
