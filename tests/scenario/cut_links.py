"""Many devices pull one model through links of which half are cut again and again; counts every byte.

    python -m tests.scenario.cut_links DEVICES BYTES CUTS SEED

The devices are those that `shoal-agent run` is made of: MQTT session, window, packing, store. A proxy in
front of each counts what crosses its link downstream, MQTT's own bytes included, and resets a link of the
first half of the devices after so many bytes, CUTS times, at instants spread over the whole download.
Prints one JSON object.
"""

import asyncio
import json
import random
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.adapters.packing_zstd import Zstandard
from agent.adapters.store_files import FileStore
from agent.core.update.provision import Needed, published_bytes
from agent.loops.connection import Connection
from agent.loops.release.supply import Supply
from agent.ports.link import LinkState, Up
from agent.wire.documents import Artifact
from agent.wire.topics import Root
from deploy.adapters.broker_local import BrokerKind, LocalBroker, start_broker
from deploy.adapters.packer_zstd import ZstandardPacker
from deploy.core.release.chunking import pack
from deploy.flows.publish import publish
from deploy.ports.repository import Metadata, Publication
from tests.fakes.chaosproxy import ChaosProxy

ROOT = Root("shoal/cuts")
DEADLINE_S = 600.0
UP_S = 30.0
PUBLICATION = Publication(targets=(), metadata=(Metadata("1.root", b"root"),), timestamp=b"t", index=b"i")


@dataclass(frozen=True, slots=True)
class Counted:
    devices: int
    verified: int
    cuts: int
    needed_bytes: int
    """What is published of the model, times the devices."""
    crossed_bytes: int
    uncut_share: float
    """Crossed over needed, of the devices whose links were left alone: MQTT's own part."""
    cut_share: float
    """The same of the others."""
    share: float
    """The same of all."""
    lost_a_cut_bytes: int
    """What a cut cost beyond that."""
    seconds: float


def model(length: int, seed: int) -> bytes:
    """Bytes that pack to about four fifths, as quantized weights do."""
    rng = np.random.default_rng(seed)
    return rng.normal(128, 26, length).round().clip(0, 255).astype(np.uint8).tobytes()


@contextmanager
def operator(broker: LocalBroker) -> Iterator[MqttLink]:
    link = MqttLink(LinkSettings(broker.host, broker.port, "cuts-operator"))
    up = threading.Event()
    link.open(lambda state: up.set() if _is_up(state) else None)
    try:
        assert up.wait(UP_S), "the operator does not reach the broker"
        yield link
    finally:
        link.close()


def _is_up(state: LinkState) -> bool:
    return isinstance(state, Up)


async def device(number: int, proxy: ChaosProxy, artifact: Artifact, store: FileStore) -> None:
    settings = LinkSettings(proxy.host, proxy.port, f"cuts-{number}", backoff_cap_s=1.0)
    link = MqttLink(settings)
    connection = Connection(link)
    connection.open()
    try:
        supply = Supply(
            link, connection, ROOT, store, SystemClock(), Zstandard(), lambda *_: None, lambda *_: None
        )
        await supply.bring([Needed(artifact)], [])
    finally:
        await connection.close()


async def pull(proxies: list[ChaosProxy], artifact: Artifact, folder: Path) -> int:
    """Until every device has it; how many have verified it."""
    stores = [FileStore(folder / str(number), 0) for number in range(len(proxies))]
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        for number, (proxy, store) in enumerate(zip(proxies, stores, strict=True)):
            group.create_task(device(number, proxy, artifact, store))
    return sum(store.verify(artifact.digest) for store in stores)


def count(broker: LocalBroker, folder: Path, devices: int, length: int, cuts: int, seed: int) -> Counted:
    parcel = pack(model(length, seed), ZstandardPacker().pack)
    one_bytes = published_bytes(parcel.artifact.chunks)
    with operator(broker) as link:
        publish(link, ROOT, PUBLICATION, [parcel], lambda *_: None)
    with ExitStack() as stack:
        proxies = [stack.enter_context(ChaosProxy(broker.host, broker.port)) for _ in range(devices)]
        rng = random.Random(seed)
        cut, uncut = proxies[: devices // 2], proxies[devices // 2 :]
        for proxy in cut:
            proxy.cut_after_bytes, proxy.cuts_max = round(one_bytes / (cuts + rng.uniform(1, 2))), cuts
        began_s = time.monotonic()
        verified = asyncio.run(pull(proxies, parcel.artifact, folder))
        seconds = time.monotonic() - began_s
        made = sum(proxy.cuts for proxy in cut)
        cut_bytes, uncut_bytes = (sum(proxy.bytes_down for proxy in some) for some in (cut, uncut))
    uncut_share = uncut_bytes / (one_bytes * len(uncut))
    lost_bytes = cut_bytes - uncut_share * one_bytes * len(cut)
    return Counted(
        devices=devices,
        verified=verified,
        cuts=made,
        needed_bytes=one_bytes * devices,
        crossed_bytes=cut_bytes + uncut_bytes,
        uncut_share=round(uncut_share, 4),
        cut_share=round(cut_bytes / (one_bytes * len(cut)), 4),
        share=round((cut_bytes + uncut_bytes) / (one_bytes * devices), 4),
        lost_a_cut_bytes=round(lost_bytes / max(made, 1)),
        seconds=round(seconds, 1),
    )


def main(devices: int, length: int, cuts: int, seed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16 * devices + 256)), hard))
    with (
        tempfile.TemporaryDirectory() as folder,
        start_broker(Path(folder) / "broker", kind=BrokerKind.MOSQUITTO) as broker,
    ):
        counted = count(broker, Path(folder) / "devices", devices, length, cuts, seed)
    print(json.dumps(asdict(counted)))  # noqa: T201


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))
