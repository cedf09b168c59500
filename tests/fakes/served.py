"""A page on a loopback port of its own, in a loop of its own, and one that asks it."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse

from starlette.types import ASGIApp

from agent.adapters.web.events import Streams
from agent.adapters.web.server import Down, Server, Up
from agent.core.page.place import Place, parse

WITHIN_S = 20.0
ANYWHERE = parse("127.0.0.1:0")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def words(self) -> object:
        return json.loads(self.body)


@dataclass
class Served:
    place: Place
    stop: Callable[[], float]
    """Seconds that the end took."""
    cookies: dict[str, str] = field(default_factory=dict)

    def connect(self) -> HTTPConnection:
        return HTTPConnection(self.place.host, self.place.port, timeout=WITHIN_S)

    def ask(self, path: str, sent: object = None, **headers: str) -> Answer:
        """POST where something is sent, bytes as they are; names of headers with underscores."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            given["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = sent if sent is None or isinstance(sent, bytes) else json.dumps(sent)
        if sent is not None:
            given.setdefault("Content-Type", "application/json")
        with contextlib.closing(self.connect()) as connection:
            connection.request("GET" if sent is None else "POST", path, body, given)
            response = connection.getresponse()
            answer = Answer(
                response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
            )
        name, _, value = answer.headers.get("set-cookie", "").partition(";")[0].partition("=")
        if name:
            self.cookies[name] = value
        return answer

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[HTTPResponse]:
        with contextlib.closing(self.connect()) as connection:
            connection.request(
                "GET", path, headers={"Cookie": "; ".join(map("=".join, self.cookies.items()))}
            )
            yield connection.getresponse()


@contextlib.contextmanager
def serving(make: Callable[[Streams], ASGIApp], place: Place = ANYWHERE) -> Iterator[Served]:
    """The application is made on the loop that it runs on."""
    came: Future[Up | Down] = Future()
    ended: Future[float] = Future()
    stop: Callable[[], None] = lambda: None  # noqa: E731 - until the loop runs

    async def run() -> None:
        nonlocal stop
        loop, streams = asyncio.get_running_loop(), Streams(3)
        server = Server(make(streams), streams, place, turned=came.set_result)
        task = asyncio.create_task(server.run())
        stopped = asyncio.Event()
        stop = lambda: loop.call_soon_threadsafe(stopped.set)  # noqa: E731 - needs this loop
        await stopped.wait()
        began_s = loop.time()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        ended.set_result(loop.time() - began_s)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        up = came.result(WITHIN_S)
        assert isinstance(up, Up), up
        port = int(up.url.rstrip("/").rpartition(":")[2])

        def end() -> float:
            stop()
            return ended.result(WITHIN_S)

        yield Served(Place(place.host, port), end)
    finally:
        if not ended.done():
            stop()
        thread.join(WITHIN_S)
