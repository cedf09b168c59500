"""Server-sent events: one long answer for each browser that watches."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Final, TypeVar

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agent.adapters.web.not_now import NotNow

STREAMS_MAX: Final = 32
BEAT_S: Final = 15.0
"""Something is said at least so often: either side finds out that a line is dead (a comment would be hidden
from the page), and proxies keep one open that speaks."""
RETRY_MS: Final = 1_000
"""How long a browser waits until it comes back."""

BEAT: Final = b"event: beat\ndata: null\n\n"

Events = AsyncGenerator[bytes, None]
T = TypeVar("T")


def event(name: str, document: object) -> bytes:
    """One event with a JSON document, which has no line breaks."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(document))


class Streams:
    """All that are open; `close` ends each of them at once, so that the server can end in order."""

    def __init__(self, most: int = STREAMS_MAX) -> None:
        self.most, self.open = most, 0
        self.closing = asyncio.Event()

    def close(self) -> None:
        self.closing.set()

    async def unless_closed(self, wanted: Coroutine[object, object, T]) -> T:
        """What is waited for, unless the server ends first.

        Raises:
            NotNow: it does.
        """
        waited, closing = asyncio.ensure_future(wanted), asyncio.ensure_future(_set(self.closing))
        try:
            await asyncio.wait((waited, closing), return_when=asyncio.FIRST_COMPLETED)
            if not waited.done():
                raise NotNow(503, "this page is ending")
            return waited.result()
        finally:
            await _cancelled(closing)
            waited.cancel()

    def answer(self, events: Events, allowed: Callable[[], bool]) -> Response:
        """Write what `events` yields as it comes, until the browser leaves.

        Args:
            events: of `event`, several at a time where they came together. It is closed at the end.
            allowed: asked at every beat: whether whoever watches still may.

        Raises:
            NotNow: too many watch already.
        """
        if self.open >= self.most:
            raise NotNow(503, f"{self.most} watch this page already: close one, or try again later")
        return _Stream(self, events, allowed)


class _Stream(Response):
    media_type = "text/event-stream"

    def __init__(self, streams: Streams, events: Events, allowed: Callable[[], bool]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams, self._events, self._allowed = streams, events, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        self._streams.open += 1
        ends = (asyncio.ensure_future(_gone(receive)), asyncio.ensure_future(_set(self._streams.closing)))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await _write(send, b"retry: %d\n\n" % RETRY_MS)
            await self._relay(send, ends)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._streams.open -= 1
            await _cancelled(*ends)
            await self._events.aclose()

    async def _relay(self, send: Send, ends: tuple[asyncio.Future[None], ...]) -> None:
        coming = asyncio.ensure_future(anext(self._events, None))
        try:
            while self._allowed():
                waiting: set[asyncio.Future[None] | asyncio.Future[bytes | None]] = {coming, *ends}
                await asyncio.wait(waiting, timeout=BEAT_S, return_when=asyncio.FIRST_COMPLETED)
                if any(end.done() for end in ends):
                    return
                written = coming.result() if coming.done() else BEAT
                if written is None:
                    return
                if coming.done():
                    coming = asyncio.ensure_future(anext(self._events, None))
                await _write(send, written)
        finally:
            await _cancelled(coming)


async def _write(send: Send, content: bytes) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _set(closing: asyncio.Event) -> None:
    await closing.wait()


async def _cancelled(*tasks: asyncio.Future[None] | asyncio.Future[bytes | None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
