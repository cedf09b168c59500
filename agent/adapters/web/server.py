"""uvicorn inside an event loop that has more important things to do: it may fail, and harms nobody then."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.adapters.web.events import Streams
from agent.core.page.place import Place, bracketed

log = logging.getLogger(__name__)

CONNECTIONS_BESIDE: Final = 96
"""Of streams: a page must not eat up the descriptors of what it shows."""
REQUEST_S: Final = 10.0
"""Within it a request has to be there as a whole."""
UNREAD_S: Final = 30.0
"""Whoever takes nothing at all of an answer for so long is gone."""
END_S: Final = 1.0
RETRY_MIN_S: Final = 1.0
RETRY_MAX_S: Final = 60.0
BACKLOG: Final = 64


@dataclass(frozen=True, slots=True)
class Tls:
    """Both in PEM; read anew each time that the page comes up."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Up:
    url: str


@dataclass(frozen=True, slots=True)
class Down:
    reason: str


class Server:
    """
    Args:
        app: the page.
        streams: its open streams, which are ended first.
        place: where it listens.
        tls: None: http.
        turned: told when it listens, and once when it cannot.
    """

    def __init__(
        self,
        app: ASGIApp,
        streams: Streams,
        place: Place,
        tls: Tls | None = None,
        turned: Callable[[Up | Down], None] = lambda _: None,
    ) -> None:
        self._app, self._streams, self._place, self._tls, self._turned = app, streams, place, tls, turned

    async def run(self) -> None:
        """Until cancelled; then it ends within END_S. Where the place cannot be had, it tries again."""
        pause_s, told = RETRY_MIN_S, False
        while True:
            try:
                listening = await asyncio.to_thread(bind, self._place)
            except OSError as error:
                reason = f"{self._place}: {error.strerror or error}"
            else:
                reason = await self._serve(listening)
            if not told:
                told = True
                log.warning("page.down", extra={"reason": reason})
                self._turned(Down(reason))
            await asyncio.sleep(pause_s)
            pause_s = min(RETRY_MAX_S, pause_s * 2)

    async def _serve(self, listening: socket.socket) -> str:
        """Until cancelled; else why it cannot."""
        with contextlib.closing(listening):
            try:
                server = _Embedded(self._configured())
            except OSError as error:
                return f"the certificate or its key: {error.strerror or error}"
            scheme, port = "https" if self._tls else "http", listening.getsockname()[1]
            url = f"{scheme}://{bracketed(self._place.host)}:{port}/"
            log.info("page.up", extra={"url": url})
            self._turned(Up(url))
            serving = asyncio.ensure_future(server.serve(sockets=[listening]))
            try:
                await asyncio.shield(serving)
            finally:
                self._streams.close()
                server.end()
                await asyncio.wait((serving,), timeout=2 * END_S)
        return "the server has ended by itself"

    def _configured(self) -> uvicorn.Config:
        """
        Raises:
            OSError: the certificate or its key cannot be read, or they do not belong together.
        """
        config = _Config(
            self._app,
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.ERROR,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=bool(self._place.proxy),
            forwarded_allow_ips=self._place.proxy,
            backlog=BACKLOG,
            timeout_graceful_shutdown=int(END_S),
            ssl_certfile=str(self._tls.certificate) if self._tls else None,
            ssl_keyfile=str(self._tls.key) if self._tls else None,
            # A key that is locked is refused; without this OpenSSL would ask at the terminal, and wait.
            ssl_keyfile_password="",
        )
        config.load()
        config.connections_max = self._streams.most + CONNECTIONS_BESIDE
        return config


class _Config(uvicorn.Config):
    connections_max: int


class _Embedded(uvicorn.Server):
    """Signals are its host's, and it wakes up for nothing but a connection."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        self.server_state.default_headers = self.config.encoded_headers
        await self._ending.wait()

    def end(self) -> None:
        self._ending.set()


class _Connection(H11Protocol):
    """Neither a request nor an answer lasts for as long as the other side likes: that needs no password."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self.awaits_since_s = self.loop.time()
        self._deadline: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._await_request()
        if len(self.connections) > cast("_Config", self.config).connections_max:
            self._longest_without_request().transport.abort()

    def _longest_without_request(self) -> "_Connection":
        """Where all are busy: this one."""
        all_of_them = cast("set[_Connection]", self.connections)
        waited_for = [one for one in all_of_them if one is not self and one.awaits]
        return min(waited_for, key=lambda one: one.awaits_since_s, default=self)

    @property
    def awaits(self) -> bool:
        """Whether a request is still to come, or the rest of it."""
        cycle = getattr(self, "cycle", None)
        return cycle is None or cycle.response_complete or cycle.more_body

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.awaits:
            self._await_request()
        else:
            self._cancel()

    def on_response_complete(self) -> None:
        self.awaits_since_s = self.loop.time()
        super().on_response_complete()

    def _await_request(self) -> None:
        """Counted from its first byte: the next byte is no reason to wait longer."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_S, self.transport.abort)

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reading()

    def _watch_reading(self) -> None:
        unread = cast("asyncio.WriteTransport", self.transport).get_write_buffer_size()
        self._reading = self.loop.call_later(UNREAD_S, self._read_on, unread)

    def _read_on(self, unread_before: int) -> None:
        """A slow line takes a little at a time, and is waited for."""
        if self.transport.get_write_buffer_size() < unread_before:
            self._watch_reading()
        else:
            self.transport.abort()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_reading()

    def _cancel_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        self._cancel_reading()
        super().connection_lost(exc)


def bind(place: Place) -> socket.socket:
    """
    Raises:
        OSError: nobody knows the address, it is not of this host, or the port is taken.
    """
    found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # Whoever is told that the page is up may come at once.
        listening.listen(BACKLOG)
        listening.setblocking(False)  # noqa: FBT003 - the library's own signature
    except OSError:
        listening.close()
        raise
    return listening
