"""A thousand windows of telemetry a second into the controller: `make bench-telemetry`.

A process of its own stands in for the devices: connections that send real windows, QoS 1, for thousands of
devices, paced, and then in one burst, as devices do that were all switched on together. The Mosquitto queues
as many messages for a reader as one that `shoal broker-config` sets; with --defaults it is as it comes, with
1,000, and what a burst or a busy machine loses there is lost in it. What the broker acknowledged is held
against what was counted, window by window: each has an instant of its own.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.core.telemetry.latency import Sketch, percentiles
from agent.ports.link import Outgoing, Up
from agent.wire import codec
from agent.wire.reports import Telemetry, Vitals
from agent.wire.topics import TELEMETRY, DeviceId, Root, sha256
from deploy.adapters.broker_local import (
    BrokerKind,
    LocalBroker,
    mosquitto_defaults,
    mosquitto_settings,
    start_broker,
)
from deploy.adapters.kept_process import KeptProcess
from deploy.adapters.receiver_process import receiving
from deploy.adapters.series_sqlite import SqliteSeries
from deploy.adapters.workspace import Broker, Settings, create, write_settings
from deploy.core.page.series import Collected
from deploy.page.collecting import KEPT_EVERY_S, Collecting
from deploy.simulation.packets import Hello
from deploy.simulation.wire import Dial, Traffic, Wire

ROOT = Root("shoal/bench")
CONNECTIONS = 50
TEMPLATES = 64
BASES_MS = {"capture": 5.0, "pre": 3.0, "invoke": 25.0, "post": 0.5, "publish": 0.3, "age": 40.0}
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
QUIET_S = 60.0
QUEUED = 100_000
"""Messages for one reader: docs/enrolment.md."""


@dataclass(frozen=True, slots=True)
class Sent:
    messages: int
    acknowledged: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    sent: Sent
    collected: Collected
    refused: int
    collector_cpu_share: float
    """Of one core; with the process that receives."""
    broker_cpu_share: float
    rss_bytes: int


def window(chance: random.Random, number: int) -> Telemetry:
    """Ten seconds of a camera at ten frames a second."""
    histograms = {}
    for stage, base_ms in BASES_MS.items():
        sketch = Sketch()
        for _ in range(100):
            sketch.add(base_ms * (1 + number % 3) * chance.lognormvariate(0.0, 0.15))
        histograms[stage] = sketch.to_document()
    return Telemetry(
        at=BEGIN + timedelta(microseconds=number + 1),
        window_s=10.0,
        frames=100,
        frames_dropped=0,
        predictions=100,
        errors=0,
        fps=10.0,
        rss_bytes={"supervisor": 40_000_000, "worker": 150_000_000},
        digest=sha256(b"variant"),
        histogram_ms=histograms,
        latency_ms={stage: percentiles(histogram) for stage, histogram in histograms.items()},
        vitals=Vitals(soc_c=50.0 + number % 20),
        model="mobilenet",
        version=f"1.{number % 2}",
        delegate="xnnpack",
        hardware=("rpi3", "rpi4", "rpi5")[number % 3],
        classes={f"label {label}": 6 for label in range(16)} | {"": 4},
        confidence=(*(0,) * 10, *(10,) * 10),
    )


class Crowd:
    """So many devices behind a few connections."""

    def __init__(self, devices: int) -> None:
        chance = random.Random(1)  # the same windows each time
        self._devices = [ROOT.device(TELEMETRY, DeviceId(f"device-{n}")) for n in range(devices)]
        contents = (codec.encode(window(chance, n)) for n in range(TEMPLATES))
        self._templates = [content.partition(b'"window_s"')[1:] for content in contents]
        self._wires: list[Wire] = []
        self._sent = 0
        self.futures: list[Future[None]] = []

    async def connect(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        for n in range(CONNECTIONS):
            dial = Dial("127.0.0.1", port, Hello(f"crowd-{n}", keepalive_s=60))
            wire = Wire(dial, lambda _: None, Traffic())
            refused = await wire.connect(loop)
            assert not refused, refused
            self._wires.append(wire)

    def send(self) -> None:
        self._sent += 1
        number = self._sent
        at = (BEGIN + timedelta(seconds=number)).isoformat(timespec="microseconds").encode()
        head = b'{"schema":1,"at":"%b",' % at.replace(b"+00:00", b"Z")
        content = head + b"".join(self._templates[number % TEMPLATES])
        future: Future[None] = Future()
        self.futures.append(future)
        self._wires[number % CONNECTIONS].publish(
            Outgoing(self._devices[number % len(self._devices)], content, TELEMETRY.qos, retain=False), future
        )

    async def end(self) -> int:
        for wire in self._wires:
            await wire.goodbye(30.0)
        return sum(future.done() and future.exception() is None for future in self.futures)


async def crowd(port: int, rate: int, seconds: float, burst: int) -> Sent:
    told = Crowd(max(rate * 5, 1))
    await told.connect(port)
    began = time.monotonic()
    whole = int(rate * seconds)
    sent = 0
    while sent < whole:
        due = min(int((time.monotonic() - began) * rate), whole)
        for _ in range(due - sent):
            told.send()
        sent = due
        await asyncio.sleep(0.01)
    took_s = time.monotonic() - began
    for _ in range(burst):
        told.send()
    return Sent(sent + burst, await told.end(), took_s)


@contextmanager
def collecting(port: int, folder: Path) -> Iterator[tuple[Collecting, KeptProcess]]:
    """As the fleet's page does it, once the broker has taken the receiving process in."""
    settings = Settings(broker=Broker(url=f"mqtt://127.0.0.1:{port}", root=ROOT.prefix))
    write_settings(workspace := create(folder / "fleet", settings))
    collection = Collecting(SqliteSeries(folder / "series.sqlite"), SystemClock(), ROOT)
    with collection.running(), receiving(workspace.folder, collection.take, collection.lose) as receiver:
        _subscribed(port, collection)
        yield collection, receiver


def _subscribed(port: int, collection: Collecting) -> None:
    """Until a message that is no window comes through: it is counted as refused."""
    link, up = MqttLink(LinkSettings("127.0.0.1", port, "prober")), Event()
    link.open(lambda state: up.set() if isinstance(state, Up) else None)
    try:
        assert up.wait(30.0), "the broker let nobody in"
        ends = time.monotonic() + 30.0
        while not collection.collected().refused and time.monotonic() < ends:
            topic = ROOT.device(TELEMETRY, DeviceId("prober"))
            link.publish(Outgoing(topic, b"?", TELEMETRY.qos, retain=False)).result(10.0)
            time.sleep(0.2)
        assert collection.collected().refused, "nothing comes through"
    finally:
        link.close()


def measure(broker: LocalBroker, folder: Path, rate: int, seconds: float, burst: int) -> Measured:
    with collecting(broker.port, folder) as (collection, receiver):
        assert receiver.pid is not None, "nobody receives"
        before = collection.collected()
        cpu = time.process_time() + _cpu_s(receiver.pid)
        broker_cpu = _cpu_s(broker.process.pid)
        command = [sys.executable, "-m", "tests.soak.telemetry", "--crowd", str(broker.port)]
        options = ["--rate", str(rate), "--seconds", str(seconds), "--burst", str(burst)]
        told = subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE)
        sent = Sent(**json.loads(told.stdout))
        ends = time.monotonic() + QUIET_S
        while collection.collected().windows < sent.acknowledged and time.monotonic() < ends:
            time.sleep(0.05)
        cpu = time.process_time() + _cpu_s(receiver.pid) - cpu
        broker_cpu = _cpu_s(broker.process.pid) - broker_cpu
        refused = sum(collection.collected().refused.values()) - sum(before.refused.values())
    rss_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Measured(
        sent, collection.collected(), refused, cpu / sent.seconds, broker_cpu / sent.seconds, rss_bytes
    )


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fleet_settings(folder: Path, port: int) -> str:
    told = mosquitto_settings(folder, port)
    return told.replace("max_queued_messages 10000", f"max_queued_messages {QUEUED}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--burst", type=int, default=5_000)
    parser.add_argument("--defaults", action="store_true", help="a Mosquitto as it comes")
    parser.add_argument("--crowd", type=int, metavar="PORT", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.crowd:
        sent = asyncio.run(crowd(asked.crowd, asked.rate, asked.seconds, asked.burst))
        print(
            json.dumps(
                {"messages": sent.messages, "acknowledged": sent.acknowledged, "seconds": sent.seconds}
            )
        )
        return 0
    settings = mosquitto_defaults if asked.defaults else fleet_settings
    with (
        tempfile.TemporaryDirectory(prefix="shoal-telemetry-") as name,
        start_broker(Path(name) / "broker", kind=BrokerKind.MOSQUITTO, settings=settings) as broker,
    ):
        return _report(measure(broker, Path(name), asked.rate, asked.seconds, asked.burst))


def _report(found: Measured) -> int:
    sent, collected = found.sent, found.collected
    lost = sent.acknowledged - collected.windows
    print(
        f"sent          {sent.messages} windows, {sent.messages / sent.seconds:.0f} a second with the burst"
    )
    print(f"acknowledged  {sent.acknowledged} by the broker")
    print(f"counted       {collected.windows}; came again {collected.repeated}, lost {lost}")
    print(f"refused       {found.refused}, overrun {collected.overrun} {collected.why}")
    print(f"collector     {found.collector_cpu_share:.0%} of a core, {found.rss_bytes / 1e6:.0f} MB at most")
    print(f"broker        {found.broker_cpu_share:.0%} of a core")
    print(f"disk          {collected.bytes} bytes, kept every {KEPT_EVERY_S:g} s")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
