"""Retained topics as TUF's client wants them: a blocking read, with a bound and a deadline."""

import re
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Final

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient.fetcher import FetcherInterface

from agent.ports.link import Link, Message
from agent.wire import topics
from agent.wire.errors import LinkDown, Unavailable, Untrusted

BASE: Final = "tuf/"
_NAME: Final = re.compile(r"(?:(?P<version>[1-9][0-9]{0,9})\.)?(?P<role>[a-z]{1,32})")
MAX_BYTES: Final = {"root": 65_536, "timestamp": 4_096, "snapshot": 65_536}
MAX_TARGETS_BYTES: Final = 524_288


class Reader:
    """Retained messages as a blocking read."""

    def __init__(self, link: Link, timeout_s: float) -> None:
        self._link = link
        self._timeout_s = timeout_s
        self._closed = False
        self._arrived: SimpleQueue[bytes] = SimpleQueue()
        self._watched = ""
        self._seen = b""
        self._on_news: Callable[[], None] = lambda: None

    def watch(self, topic: str, on_news: Callable[[], None]) -> None:
        self._watched, self._on_news = topic, on_news
        self._link.subscribe([topic], topics.META.qos, self._notice)

    def close(self) -> None:
        """End the read that is under way, on another thread, and every later one."""
        self._closed = True
        self._arrived.put(b"")

    def read(self, topic: str, limit_bytes: int) -> bytes:
        """What the topic holds now.

        Raises:
            Unavailable: nothing came in time.
            LinkDown: the reader was closed.
            Untrusted: there are more bytes than what belongs there can have.
        """
        arrived = self._arrived = SimpleQueue()
        if self._closed:
            raise LinkDown("the device is going down")

        def take(message: Message) -> None:
            if message.payload and arrived.empty():
                arrived.put(message.payload)
            if topic == self._watched:
                self._notice(message)

        self._link.subscribe([topic], topics.META.qos, take)
        try:
            payload = arrived.get(timeout=self._timeout_s)
        except Empty as error:
            raise Unavailable(f"{topic} did not come within {self._timeout_s:g} s") from error
        finally:
            if topic != self._watched:
                self._link.unsubscribe([topic])
        if self._closed:
            raise LinkDown("the device is going down")
        if len(payload) > limit_bytes:
            raise Untrusted(f"{topic} holds {len(payload)} bytes, at most {limit_bytes} belong there")
        return payload

    def _notice(self, message: Message) -> None:
        if message.payload != self._seen:
            self._seen = message.payload
            self._on_news()


class Fetcher(FetcherInterface):
    """Reads `meta/<name>` where TUF's client asks for `meta/<name>.json`.

    Args:
        reader: reads topics.
        root: below which they stand.
        newest_root: higher ones are absent; None if that is not known and has to be waited for.
    """

    def __init__(self, reader: Reader, root: topics.Root, newest_root: int | None) -> None:
        self.before_root: Callable[[], None] = lambda: None
        self._reader = reader
        self._root = root
        self._newest_root = newest_root

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Our own errors go through TUF's client unchanged, because a generator raises them late."""
        name = url.removeprefix(BASE).removesuffix(".json")
        known = _NAME.fullmatch(name)
        if known is None:
            raise Untrusted(f"the metadata names a role that cannot be a topic: {name[:80]!r}")
        if known["role"] == "root":
            yield self._next_root(name, int(known["version"]))
        else:
            yield self._reader.read(self._root.meta(name), MAX_BYTES.get(known["role"], MAX_TARGETS_BYTES))

    def _next_root(self, name: str, version: int) -> bytes:
        self.before_root()
        absent = DownloadHTTPError(f"there is no {name}", 404)
        if self._newest_root is not None and version > self._newest_root:
            raise absent
        try:
            return self._reader.read(self._root.meta(name), MAX_BYTES["root"])
        except Unavailable as error:
            # An index that promises too much must not stop what the present root can verify.
            raise absent from error
