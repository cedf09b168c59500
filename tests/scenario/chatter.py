"""A device that only talks: events into its outbox, numbered, until it is killed or told to stop.

    python -m tests.scenario.chatter FOLDER URL ROOT FIRST COUNT PER_S [MAX_MIB] [DRAIN_PER_S]

On its output stands the number of each event once it has been put, and `empty` when all have arrived. It
ends by itself, cleanly, when its input is closed.
"""

import asyncio
import itertools
import sys
from pathlib import Path

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.assemble.outboxes import open_outboxes
from agent.config import Settings
from agent.config.sections import Broker, Device, Outbox
from agent.loops.connection import Connection
from agent.loops.telling.post import Mail, Post
from agent.loops.telling.presence import new_session
from agent.loops.telling.reporter import Identity, Reporter
from agent.wire import topics
from agent.wire.reports import Capabilities
from agent.wire.topics import DeviceId

DEVICE = DeviceId("chatter")
LOOK_S = 0.02


async def chatter(settings: Settings, first: int, count: int, per_s: float) -> None:
    host, port = settings.broker.url.removeprefix("mqtt://").rsplit(":", 1)
    link = MqttLink(
        LinkSettings(host, int(port), "chatter", keepalive_s=5, backoff_base_s=0.05, backoff_cap_s=0.2)
    )
    connection, clock = Connection(link), SystemClock()
    mail = open_outboxes(settings, link, connection, clock)
    identity = Identity(topics.root(settings.broker.root), DEVICE, topics.MAIN, Capabilities())
    reporter = Reporter(Post(link, mail, new_session()), clock, identity)
    told = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    connection.open()
    async with mail.drain.delivering():
        talking = asyncio.create_task(_talk(reporter, mail, first, count, per_s))
        await told.read()
        talking.cancel()
    await connection.close()
    mail.drain.close()


async def _talk(reporter: Reporter, mail: Mail, first: int, count: int, per_s: float) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for number in range(first, first + count):
        reporter.event("said", {"n": number})
        _tell(str(number))
        ahead_s = began_s + (number - first + 1) / per_s - loop.time()
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)
    for _ in itertools.count():
        if not mail.drain.depth():
            _tell("empty")
            return
        await asyncio.sleep(LOOK_S)


def _tell(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    folder, url, root, first, count, per_s, *more = sys.argv[1:]
    max_mib, drain_per_s = (*more, *("16", "2000")[len(more) :])
    settings = Settings(
        device=Device(id=DEVICE, state_dir=str(Path(folder))),
        broker=Broker(url=url, root=root),
        outbox=Outbox(max_mib=int(max_mib), drain_per_s=float(drain_per_s)),
    )
    asyncio.run(chatter(settings, int(first), int(count), float(per_s)))


if __name__ == "__main__":
    main()
