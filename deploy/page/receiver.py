"""`python -m deploy.page.receiver WORKSPACE`: receives a fleet's telemetry, and does nothing else.

A broker drops what it holds for a reader that is late: a Mosquitto as it comes, beyond 1,000 messages, which
is a second of a large fleet. A process of its own waits for no other work's interpreter lock: what comes is
acknowledged and laid down, and goes to the page over standard output as fast as that reads. It ends when its
standard input does.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from agent.ports.link import Link, Message
from agent.wire.errors import ConfigError
from agent.wire.topics import SHARDS, TELEMETRY, Root
from deploy.adapters import workspace as workspaces
from deploy.assemble.desk.session import standing_by
from deploy.core.page import parcels

BACKLOG_MAX: Final = 65_536
"""Messages: a minute of a thousand a second."""
BACKLOG_MAX_BYTES: Final = 268_435_456
BATCH: Final = 64
LOOKS_S: Final = 0.5
CONFIG: Final = 78


class Backlog:
    """Laid down on the link's thread, taken up on another."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._laid_bytes = self._taken_bytes = 0
        """Each is written by one thread only."""
        self._lost = self._told = 0
        self._news = threading.Event()

    def lay(self, message: Message) -> None:
        """What does not fit is lost and counted."""
        size = len(message.payload)
        full = self._laid_bytes - self._taken_bytes + size > BACKLOG_MAX_BYTES
        if full or len(self._messages) >= BACKLOG_MAX:
            self._lost += 1
        else:
            self._laid_bytes += size
            self._messages.append(message)
        self._news.set()

    def wait(self) -> None:
        """Until something was laid down, or a while has passed."""
        self._news.wait(LOOKS_S)
        self._news.clear()

    def batches(self) -> Iterator[bytes]:
        """What there is, in pieces that are worth a system call."""
        while self._messages:
            some = [self._messages.popleft() for _ in range(min(BATCH, len(self._messages)))]
            self._taken_bytes += sum(len(message.payload) for message in some)
            yield b"".join(parcels.packed(message.topic, message.payload) for message in some)
        if self._lost != self._told:
            since, self._told = self._lost - self._told, self._lost
            yield parcels.lost(since)


def listen(link: Link, root: Root, backlog: Backlog) -> None:
    """Ask for the telemetry of every shard, now and after each reconnect."""
    filters = [root.shard_filter(TELEMETRY, shard) for shard in SHARDS]
    link.subscribe(filters, TELEMETRY.qos, backlog.lay)


def receive(workspace: Path, out: BinaryIO, ended: threading.Event) -> None:
    """Until `ended` is set, or nobody reads any more.

    Raises:
        ConfigError: a setting is wrong.
    """
    backlog = Backlog()
    with standing_by(workspaces.find(workspace), lambda _: None) as session:
        listen(session.link, session.root, backlog)
        while not ended.is_set():
            backlog.wait()
            out.writelines(backlog.batches())
            out.flush()


def main() -> int:
    ended = threading.Event()

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        ended.set()

    threading.Thread(target=watch, daemon=True).start()
    try:
        receive(Path(sys.argv[1]), sys.stdout.buffer, ended)
    except ConfigError:
        # The page, which has the same settings, says so in words.
        return CONFIG
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
