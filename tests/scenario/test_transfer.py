"""A publication over every kind of real broker, from the operator's file to the device's."""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.adapters.packing_zstd import Zstandard
from agent.adapters.store_files import FileStore
from agent.loops.connection import Connection
from agent.loops.release.fetch import fetch
from agent.ports.link import LinkState, Up
from agent.wire.topics import Root, sha256
from deploy.adapters.broker_local import LocalBroker
from deploy.core.release.chunking import Parcel, cut
from deploy.flows.publish import publish
from deploy.ports.repository import Metadata, Publication, Target

DEADLINE_S = 30.0
CONTENT = random.Random(11).randbytes(2_500_000)
ARTIFACT = cut(CONTENT)
PUBLICATION = Publication(
    targets=(Target(sha256(b"manifest"), b"manifest"),),
    metadata=(Metadata("1.root", b"root"),),
    timestamp=b"timestamp",
    index=b"index",
)


@contextmanager
def operator(broker: LocalBroker) -> Iterator[MqttLink]:
    link = MqttLink(LinkSettings(broker.host, broker.port, "transfer-operator"))
    up = threading.Event()

    def on_state(state: LinkState) -> None:
        if isinstance(state, Up):
            up.set()

    link.open(on_state)
    try:
        assert up.wait(DEADLINE_S)
        yield link
    finally:
        link.close()


async def pull(broker: LocalBroker, root: Root, store: FileStore) -> list[int]:
    link = MqttLink(LinkSettings(broker.host, broker.port, "transfer-device"))
    connection = Connection(link)
    progress: list[int] = []
    connection.open()
    try:
        async with asyncio.timeout(DEADLINE_S):
            await connection.wait_up()
            await fetch(
                link,
                connection,
                root,
                store,
                (ARTIFACT,),
                SystemClock(),
                lambda done, _: progress.append(done),
                packing=Zstandard(),
            )
    finally:
        await connection.close()
    return progress


def test_what_was_published_is_what_a_device_pulls(broker: LocalBroker, tmp_path: Path) -> None:
    root = Root("shoal/transfer")
    store = FileStore(tmp_path, 0)
    with operator(broker) as link:
        for _ in range(2):
            publish(link, root, PUBLICATION, [Parcel(ARTIFACT, CONTENT)], lambda *_: None)
        progress = asyncio.run(pull(broker, root, store))
    assert store.path(ARTIFACT.digest).read_bytes() == CONTENT
    assert (progress[0], progress[-1]) == (0, len(CONTENT))
