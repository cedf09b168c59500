"""What keeping a message costs, and what a backlog costs those that are said meanwhile.

    python bench/outbox.py [--folder DIR] [--messages N]

cost      per message: the time on the event loop, and the bytes that reached the disk (write_bytes of
          /proc/self/io less what was thrown away before it was written).
          SQLite stands beside it: a table in WAL mode, a transaction each, deleted when acknowledged.
frames    Reporter.predict at 30 a second: the outbox's part of the frame path
backlog   a live message (QoS 0) from publish to its reader while 10,000 wait: at rest, and while they drain
          at the given rate
The folder decides: put it on the card that is to be measured.
"""

import argparse
import asyncio
import contextlib
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter, perf_counter_ns

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.adapters.outbox_files import FileOutbox
from agent.assemble.outboxes import open_outboxes
from agent.config import Settings
from agent.config.sections import Broker, Device, Outbox
from agent.loops.connection import Connection
from agent.loops.telling.post import Mail, Post
from agent.loops.telling.reporter import Identity, Reporter
from agent.ports.link import Message, Outgoing
from agent.wire import codec, topics
from agent.wire.reports import Capabilities, Event, Prediction, Ranked, StageLatency
from agent.wire.topics import DeviceId, Qos
from deploy.adapters.broker_local import LocalBroker, start_broker

ROOT, DEVICE = topics.root("shoal/bench"), DeviceId("bench")
CLOCK = SystemClock()
FLUSH_EVERY = 100
BACKLOG = 10_000
RATES_PER_S = (50.0, 500.0, 5_000.0)
LIVE = "bench/live"
LIVE_EVERY_S = 0.02
SPAN_S = 5.0
FRAMES = 150
FRAME_S = 1 / 30
ROOM_BYTES = 64 * 1_048_576

PREDICTION = Prediction(
    at=CLOCK.now(),
    sequence=1,
    frame="street.jpg",
    model="mobilenet_v2",
    version="7",
    digest=topics.sha256(b"model"),
    delegate="xnnpack",
    predictions=tuple(Ranked(index=n, label=f"some label {n}", score=0.5 / (n + 1)) for n in range(5)),
    latency_ms=StageLatency(capture=5.25, pre=1.125, invoke=20.5, post=0.25, age=27.125),
)
EVENT = Event(
    at=CLOCK.now(), name="worker.crashed", fields={"restarts": 3, "detail": "killed by SIGSEGV"}, number=12
)
BODIES = {"event": codec.encode(EVENT), "prediction": codec.encode(PREDICTION)}
TOPIC = ROOT.device(topics.EVENT, DEVICE)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--messages", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shoal-outbox-", dir=options.folder) as name:
        costs(Path(name), options.messages)
        with start_broker(Path(name) / "broker") as broker:
            asyncio.run(frames(Path(name), broker))
            asyncio.run(backlog(Path(name), broker))


def costs(folder: Path, messages: int) -> None:
    print(f"{'cost, each':42}{'median us':>10}{'p99 us':>10}{'bytes':>10}")
    for kind, body in BODIES.items():
        for number, (name, store) in enumerate(STORES.items()):
            place = folder / f"{kind}-{number}"
            place.mkdir()
            cost(f"{kind} ({len(body)} B), {name}", store(place, body), messages)


def cost(name: str, store: "Store", messages: int) -> None:
    os.sync()
    before, times = written_bytes(), []
    for number in range(1, messages + 1):
        began = perf_counter_ns()
        store.keep()
        times.append((perf_counter_ns() - began) / 1e3)
        if number % FLUSH_EVERY == 0:
            store.flush()
    os.sync()
    each_bytes = (written_bytes() - before) / messages
    print(f"{name:42}{share(times, 0.5):10.1f}{share(times, 0.99):10.1f}{each_bytes:10.0f}")


@dataclass(frozen=True, slots=True)
class Store:
    """`flush` is for a thread of its own, so its time is not the event loop's."""

    keep: Callable[[], object]
    flush: Callable[[], None] = lambda: None


def away(folder: Path, body: bytes) -> Store:
    """The broker is away."""
    outbox = FileOutbox(folder, ROOM_BYTES)
    return Store(lambda: outbox.put(TOPIC, body), partial(_flush, outbox))


def there(folder: Path, body: bytes) -> Store:
    """The broker acknowledges each before the next flush."""
    outbox = FileOutbox(folder, ROOM_BYTES)

    def keep() -> None:
        outbox.put(TOPIC, body)
        outbox.forget(outbox.take(1)[0].serial)

    return Store(keep, partial(_flush, outbox))


def _flush(outbox: FileOutbox) -> None:
    outbox.flush()()


def sqlite(synchronous: str, *, acknowledged: bool) -> Callable[[Path, bytes], Store]:
    def store(folder: Path, body: bytes) -> Store:
        base = sqlite3.connect(folder / "outbox.db", isolation_level=None)
        base.execute("PRAGMA journal_mode=WAL")
        base.execute(f"PRAGMA synchronous={synchronous}")
        base.execute("CREATE TABLE outbox (serial INTEGER PRIMARY KEY, topic TEXT, payload BLOB)")

        def keep() -> None:
            done = base.execute("INSERT INTO outbox (topic, payload) VALUES (?, ?)", (TOPIC, body))
            if acknowledged:
                base.execute("DELETE FROM outbox WHERE serial <= ?", (done.lastrowid,))

        return Store(keep)

    return store


STORES: dict[str, Callable[[Path, bytes], Store]] = {
    "files, broker away": away,
    "files, broker there": there,
    "SQLite, away, no sync": sqlite("NORMAL", acknowledged=False),
    "SQLite, there, no sync": sqlite("NORMAL", acknowledged=True),
    "SQLite, away, synced": sqlite("FULL", acknowledged=False),
}


async def frames(folder: Path, broker: LocalBroker) -> None:
    print(f"\n{'frames, 30 a second':42}{'median us':>10}{'p99 us':>10}{'loop late':>10}")
    for name, keeps, connected in (
        ("predictions not kept", False, True),
        ("kept, broker there", True, True),
        ("kept, broker away", True, False),
    ):
        device = Talker(folder / name, broker, Outbox(predictions=keeps))
        times, late = [], []
        async with device.talking(connected=connected):
            for _ in range(FRAMES):
                due = perf_counter() + FRAME_S
                began = perf_counter_ns()
                device.reporter.predict(PREDICTION)
                times.append((perf_counter_ns() - began) / 1e3)
                await asyncio.sleep(due - perf_counter())
                late.append((perf_counter() - due) * 1e6)
        print(f"{name:42}{share(times, 0.5):10.1f}{share(times, 0.99):10.1f}{share(late, 0.99):10.1f}")


async def backlog(folder: Path, broker: LocalBroker) -> None:
    print(f"\n{'backlog of ' + str(BACKLOG):42}{'p50 ms':>10}{'p95 ms':>10}{'p99 ms':>10}{'drained/s':>11}")
    await live("at rest", folder / "rest", broker, 0, 50.0)
    for per_s in RATES_PER_S:
        await live(f"at {per_s:g} a second", folder / f"{per_s:g}", broker, BACKLOG, per_s)


async def live(name: str, folder: Path, broker: LocalBroker, waiting: int, per_s: float) -> None:
    device = Talker(folder, broker, Outbox(drain_per_s=per_s))
    for number in range(waiting):
        device.reporter.event("said", {"n": number})
    heard: list[float] = []
    reader = MqttLink(LinkSettings(broker.host, broker.port, "bench-reader"))

    def hear(message: Message) -> None:
        heard.append((perf_counter_ns() - int(message.payload)) / 1e6)

    reader.subscribe([LIVE], Qos.AT_MOST_ONCE, hear)
    reader.open(lambda _: None)
    async with device.talking(connected=True):
        drain, began = device.mail.drain, perf_counter()
        while perf_counter() - began < SPAN_S and (not waiting or drain.depth()):
            device.post.send(Outgoing(LIVE, b"%d" % perf_counter_ns(), Qos.AT_MOST_ONCE, retain=False))
            await asyncio.sleep(LIVE_EVERY_S)
        drained_per_s = (waiting - drain.depth()) / (perf_counter() - began)
    reader.close()
    shares = (share(heard, at) for at in (0.5, 0.95, 0.99))
    print(f"{name:42}{''.join(f'{value:10.2f}' for value in shares)}{drained_per_s:11.0f}")


class Talker:
    """A device that only talks."""

    def __init__(self, folder: Path, broker: LocalBroker, outbox: Outbox) -> None:
        settings = Settings(
            device=Device(id=DEVICE, state_dir=str(folder)),
            broker=Broker(url=broker.url, root=ROOT.prefix),
            outbox=outbox,
        )
        link = MqttLink(LinkSettings(broker.host, broker.port, "bench"))
        self._connection = Connection(link)
        self.mail: Mail = open_outboxes(settings, link, self._connection, CLOCK)
        self.post = Post(link, self.mail, "bench")
        self.reporter = Reporter(self.post, CLOCK, Identity(ROOT, DEVICE, topics.MAIN, Capabilities()))

    @contextlib.asynccontextmanager
    async def talking(self, *, connected: bool) -> AsyncIterator[None]:
        if connected:
            self._connection.open()
        async with self.mail.drain.delivering():
            if connected:
                await self._connection.wait_up()
            yield
        await self._connection.close()
        self.mail.drain.close()


def written_bytes() -> int:
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    counted = {name: int(value) for name, value in (line.split(": ") for line in lines)}
    return counted["write_bytes"] - counted["cancelled_write_bytes"]


def share(values: Iterable[float], at: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * at))]


if __name__ == "__main__":
    main()
