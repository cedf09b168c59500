"""Ten thousand devices that connect and report, on a Mosquitto as it comes: is the count exact?

What they say comes from the device's own code, sealed; it is read by what `shoal devices` and the controller
read with. Nothing is pulled and no frame is seen.

    python bench/census.py --devices 10000
"""

import argparse
import asyncio
import hashlib
import resource
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.core.update.lifecycle import Record
from agent.loops.telling.post import Post
from agent.loops.telling.presence import Presence, will
from agent.loops.telling.reporter import Identity, Reporter
from agent.loops.telling.signet import Signet
from agent.ports.link import LinkState, Outgoing, Up
from agent.wire import codec, topics
from agent.wire.documents import Index
from agent.wire.reports import Capabilities
from agent.wire.topics import MAIN, Root
from deploy.adapters.broker_local import BrokerKind, LocalBroker, mosquitto_defaults, start_broker
from deploy.flows.devices import read_fleet
from deploy.simulation import telling
from deploy.simulation.link import FleetLink
from deploy.simulation.meter import usage
from deploy.simulation.packets import Hello
from deploy.simulation.wire import Dial

PACE_S = 0.0007
"""Between two connects: a Mosquitto accepts 100 at a time."""
WAIT_S = 300.0
BEAT_S = 3600.0


class Census:
    """All devices on one event loop, on a thread of their own."""

    def __init__(self, broker: LocalBroker, root: Root, devices: int) -> None:
        self._broker, self._root, self._devices = broker, root, devices
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._links: list[FleetLink] = []
        self.up = 0

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._connect(), self._loop).result()

    async def _connect(self) -> None:
        for number in range(self._devices):
            self._links.append(self._device(number))
            await asyncio.sleep(PACE_S)

    def _device(self, number: int) -> FleetLink:
        device, clock = telling.device_id(number), SystemClock()
        signet = Signet(1, hashlib.sha256(device.encode()).digest())
        hello = Hello(f"shoal-{device}", 60, will(self._root, device, "census", signet))
        link = FleetLink(Dial(self._broker.host, self._broker.port, hello), self._loop)
        post = Post(link, None, "census", signet)
        reporter = Reporter(post, clock, Identity(self._root, device, MAIN, Capabilities()))
        reporter.follow(Record())
        presence = Presence(post, self._root, device, "census", clock.now, BEAT_S)

        def on_state(state: LinkState) -> None:
            if isinstance(state, Up):
                self.up += 1
                presence.connected()
                reporter.connected()

        link.open(on_state)
        return link

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._disconnect(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _disconnect(self) -> None:
        for link in self._links:
            link.perish()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)


def reader(broker: LocalBroker) -> MqttLink:
    """A link that is up."""
    link, up = MqttLink(LinkSettings(broker.host, broker.port, "census-reader")), threading.Event()
    link.open(lambda state: up.set() if isinstance(state, Up) else None)
    assert up.wait(30.0)
    return link


def counted(link: MqttLink, root: Root) -> tuple[int, int, tuple[str, ...], float]:
    """Devices with a status, with a report, shards that were not read, and how long it took."""
    began_s = time.monotonic()
    found = read_fleet(link, root)
    told = {topics.STATUS: set(), topics.REPORT: set()}
    for topic, _ in found.messages:
        address = root.parse(topic)
        told[address.channel].add(address.device)
    return len(told[topics.STATUS]), len(told[topics.REPORT]), found.incomplete, time.monotonic() - began_s


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--devices", type=int, default=10_000)
    devices = options.parse_args().devices
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, devices + 512)), hard))
    root = topics.root("shoal/census")
    with TemporaryDirectory() as folder:
        started = start_broker(Path(folder), kind=BrokerKind.MOSQUITTO, settings=mosquitto_defaults)
        with started as broker:
            link = reader(broker)
            index = topics.INDEX
            content = codec.encode(Index(root=1, timestamp=1))
            link.publish(Outgoing(root.index(), content, index.qos, index.retain)).result(30.0)
            census = Census(broker, root, devices)
            began_s, cpu_s = time.monotonic(), time.process_time()
            census.start()
            try:
                deadline_s = began_s + WAIT_S
                while census.up < devices and time.monotonic() < deadline_s:
                    time.sleep(0.1)
                up_s = time.monotonic() - began_s
                time.sleep(2.0)
                statuses, reports, incomplete, read_s = counted(link, root)
                used = usage(broker.process.pid)
            finally:
                census.close()
                link.close()
    print(
        f"connected   {census.up} of {devices} in {up_s:.1f} s, {time.process_time() - cpu_s:.1f} s processor"
    )
    lacking = ", ".join(incomplete) or "nothing"
    print(f"counted     {statuses} statuses, {reports} reports in {read_s:.2f} s; lacking: {lacking}")
    print(f"broker      {used.cpu_s:.1f} s processor, {used.peak_bytes / 1e6:.1f} MB at most")
    if not statuses == reports == devices or incomplete:
        raise SystemExit("the count is not exact")
    print("the count is exact")


if __name__ == "__main__":
    main()
