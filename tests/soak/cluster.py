"""A node is killed in the middle of a rollout: `make test-cluster`.

The brokers are those of `deploy/cluster`: three NATS nodes, then two Mosquittos that know nothing of each
other. Real devices pull a real model in two waves; once the first has begun, a node gets SIGKILL. The rollout
must end by itself, every device must run the release, and the ledger must be whole. Then the node returns,
and a second release must reach every device, and stand on the node that was away.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.ports.link import Message
from agent.wire.topics import DeviceId, Qos
from deploy.adapters.workspace import FILE, find
from tests.brokers import Inbox
from tests.rig import POLICY, REPOSITORY, SHIPPED, Agent, Fleet, fleet, replay, shoal

SCRIPTS: Final = REPOSITORY / "deploy" / "cluster"
DEVICES: Final = 3
BEAT_S: Final = 5
TRIAL: Final = ("--trial-invoke-budget-ms=20000", "--trial-timeout-s=600")
_CONNECT: Final = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x1e\x00\x05probe"
_ACCEPTED: Final = b"\x20\x02\x00\x00"


@dataclass(frozen=True)
class Kind:
    name: str
    server: str
    nodes: int
    operator: str
    """Line of `shoal.toml`."""
    device: str
    """Line of a device's configuration."""


KINDS: Final = {
    "nats": Kind("nats", "nats-server", 3, "subscribe_qos = 0", "subscribe_qos = 0"),
    "mosquitto": Kind("mosquitto", "mosquitto", 2, "independent = true", ""),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", action="append", choices=[*KINDS], help="default: both")
    parser.add_argument("--patience-s", type=float, default=300.0, help="for each step")
    options = parser.parse_args()
    kinds = [KINDS[name] for name in options.kind or KINDS]
    for kind in kinds:
        if shutil.which(kind.server, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin") is None:
            print(f"{kind.server} is not installed: on Debian, apt install {kind.server}", file=sys.stderr)
            return 1
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="shoal-cluster-") as folder:
            survive(kind, Path(folder), options.patience_s)
    print("survived")
    return 0


def survive(kind: Kind, folder: Path, patience_s: float) -> None:
    """
    Raises:
        AssertionError: something was not survived.
    """
    port = _free_ports()
    places = [("127.0.0.1", port + number) for number in range(kind.nodes)]
    with ExitStack() as up:
        with _step(f"{kind.nodes} nodes of {kind.name} are up"):
            up.enter_context(_running("run", kind.name, str(folder / "brokers"), str(port)))
            for place in places:
                _until(lambda place=place: _accepts(place), patience_s, f"{place} accepts nobody")
        made = _fleet(kind, folder, places)
        with _step("a release stands on them"):
            made.release(SHIPPED, "1")
        for number in range(DEVICES):
            up.enter_context(_device(kind, folder, made, number))
        with _step(f"{DEVICES} devices report"):
            _until(lambda: len(_rows(made)) == DEVICES, patience_s, "not every device reports")
        with _step("a node is killed in the first wave, and the rollout ends by itself"):
            rollout = up.enter_context(_rolling_out(made, "1"))
            _until(lambda: any(row["candidate"] for row in _rows(made)), patience_s, "no device has begun")
            os.kill(int((folder / "brokers" / "1" / "pid").read_text()), signal.SIGKILL)
            assert rollout.wait(patience_s) == 0, "the rollout was taken back"
        with _step("every device runs the release, and is there"):
            _until(lambda: _all_run(made, "1"), patience_s, "a device was left behind")
        with _step("the node is back, and the next release reaches everybody and stands there"):
            up.enter_context(_running("node", kind.name, str(folder / "brokers"), "1", str(port)))
            _until(lambda: _accepts(places[0]), patience_s, "it accepts nobody")
            made.release_bytes(made.manifest("1"), "2", SHIPPED.read_bytes() + b"release 2")
            assert up.enter_context(_rolling_out(made, "2")).wait(patience_s) == 0
            _until(lambda: _all_run(made, "2"), patience_s, "a device was left behind")
            stand = {_retained(place, made.root.meta("timestamp")) for place in places}
            assert len(stand) == 1, "the nodes do not hold the same"
        print(shoal("audit", "verify", "--workspace", str(made.workspace.folder)).stdout.strip())


def _fleet(kind: Kind, folder: Path, places: list[tuple[str, int]]) -> Fleet:
    made = fleet(folder, ",".join(f"mqtt://{host}:{port}" for host, port in places))
    settings = made.workspace.folder / FILE
    settings.write_text(settings.read_text().replace("\nprotocol =", f"\n{kind.operator}\nprotocol ="))
    return Fleet(find(made.workspace.folder), made.url, made.root)


@contextmanager
def _device(kind: Kind, folder: Path, made: Fleet, number: int) -> Iterator[None]:
    home = folder / f"device-{number}"
    home.mkdir()
    broker = f"beat_s = {BEAT_S}\n{kind.device}\n"
    with Agent(home, made, camera=replay(5.0), device=DeviceId(f"pi-{number}"), broker=broker):
        yield


@contextmanager
def _rolling_out(made: Fleet, version: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The operator's command, that steers until the end."""
    command = [sys.executable, "-P", "-m", "deploy", "rollout", "start", f"rig@{version}", "--waves=1,100%"]
    process = subprocess.Popen(
        [*command, "--wait", *POLICY, *TRIAL, "--workspace", str(made.workspace.folder)],
        stdin=subprocess.DEVNULL,
    )
    with _ended(process):
        yield process


@contextmanager
def _running(script: str, *arguments: str) -> Iterator[None]:
    process = subprocess.Popen(
        [str(SCRIPTS / script), *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with _ended(process):
        yield


@contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait(30.0)


def _rows(made: Fleet) -> list[dict[str, object]]:
    """What the fleet tells; nothing while its brokers find each other."""
    told = shoal("devices", "--json", "--workspace", str(made.workspace.folder), check=False)
    return json.loads(told.stdout)["devices"] if told.returncode in {0, 1} and told.stdout else []


def _all_run(made: Fleet, version: str) -> bool:
    rows = _rows(made)
    return len(rows) == DEVICES and all(
        row["running"] == f"rig@{version}" and row["online"] and not row["candidate"] for row in rows
    )


def _accepts(place: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(place, timeout=2.0) as connection:
            connection.sendall(_CONNECT)
            return connection.recv(4) == _ACCEPTED
    except OSError:
        return False


def _retained(place: tuple[str, int], topic: str) -> bytes:
    link, found = MqttLink(LinkSettings(*place, "reader", subscribe_qos=Qos.AT_MOST_ONCE)), Inbox[Message]()
    link.open(lambda _: None)
    link.subscribe([topic], Qos.AT_MOST_ONCE, found)
    try:
        return found.wait_for(1, 30.0)[0].payload
    finally:
        link.close()


def _until(holds: Callable[[], bool], within_s: float, otherwise: str) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.5)


def _free_ports() -> int:
    """The first of thirty that nobody has, below those that the kernel gives to clients."""
    for first in range(21_000 + os.getpid() % 100 * 100, 32_000, 30):
        with ExitStack() as taken, contextlib.suppress(OSError):
            for port in range(first, first + 30):
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise SystemExit("there are no thirty free ports in a row below 32000")


@contextmanager
def _step(words: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{time.monotonic() - began:7.1f} s  {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
