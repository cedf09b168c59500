"""The page of a device: what it is told, what it asks for, and what it may have done."""

from collections.abc import AsyncGenerator, Callable
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agent.adapters.web.answers import document, sent
from agent.adapters.web.events import Streams, event
from agent.adapters.web.gate import Gate
from agent.adapters.web.not_now import NotNow
from agent.adapters.web.site import STATIC, page
from agent.core.page.words import Now
from agent.ports.page import Showing
from agent.wire.errors import CameraFailed, PortError, Unavailable
from agent.wire.topics import MAIN

Metrics = Callable[[str], tuple[bytes, str]]
Name = Annotated[str, Meta(min_length=1, max_length=64)]


class Accept(msgspec.Struct, frozen=True, kw_only=True):
    version: Name
    pipeline: Name = MAIN


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    paused: bool
    pipeline: Name = MAIN


class DevicePage:
    """
    Args:
        showing: the device.
        gate: in front of it.
        streams: of this page.
        metrics: the device's figures and their type, for the `Accept` header of whoever asks. None: it tells
            none.
    """

    def __init__(self, showing: Showing, gate: Gate, streams: Streams, metrics: Metrics | None) -> None:
        self._showing, self._gate, self._streams, self._metrics = showing, gate, streams, metrics

    def routes(self) -> list[BaseRoute]:
        figures = [] if self._metrics is None else [Route("/metrics", self._figures)]
        return [
            Route("/", page(STATIC / "device" / "index.html"), methods=["GET"]),
            Route("/api/now", self._now),
            Route("/api/stream", self._stream),
            Route("/api/frame", self._frame),
            Route("/api/frames", self._frames),
            Route("/api/accept", self._accept, methods=["POST"]),
            Route("/api/pause", self._pause, methods=["POST"]),
            *figures,
        ]

    async def _now(self, _: Request) -> Response:
        return document(self._now_told())

    def _now_told(self) -> Now:
        """Who had to sign in may sign out."""
        now = self._showing.now()
        return replace(now, may=(*now.may, "sign-out")) if self._gate.asks else now

    async def _stream(self, request: Request) -> Response:
        return self._streams.answer(self._events(), lambda: self._gate.admit(request) is not None)

    async def _events(self) -> AsyncGenerator[bytes, None]:
        with self._showing.listening() as happenings:
            yield event("now", self._now_told())
            async for batch in happenings:
                yield b"".join(event(str(happening.__struct_config__.tag), happening) for happening in batch)

    async def _frame(self, request: Request) -> Response:
        following = "after" in request.query_params
        after = request.query_params.get("after", "-1")
        if not after.removeprefix("-").isdecimal() or not after.isascii() or len(after) > 18:
            raise NotNow(400, "after is the sequence number of a frame")
        try:
            taken = await self._streams.unless_closed(self._showing.frame(_pipeline(request), int(after)))
        except CameraFailed as error:
            if following:
                return _no_picture(str(error))
            raise NotNow(503, str(error)) from error
        except Unavailable as error:
            raise NotNow(404, str(error)) from error
        return Response(
            taken.jpeg,
            media_type="image/jpeg",
            headers={
                "Cache-Control": "no-store",
                "X-Shoal-Sequence": str(taken.sequence),
                "X-Shoal-Captured-At": taken.captured_at.isoformat(),
            },
        )

    async def _frames(self, request: Request) -> Response:
        name = _pipeline(request)
        lines = self._showing.now().pipelines.get(name)
        if lines is None:
            raise NotNow(404, f"this device has no pipeline {name!r}")
        return Response(
            msgspec.json.Encoder().encode_lines(lines.frames),
            media_type="application/jsonl",
            headers={
                "Cache-Control": "no-store",
                "Content-Disposition": 'attachment; filename="frames.jsonl"',
            },
        )

    async def _accept(self, request: Request) -> Response:
        wanted = await sent(request, Accept)
        try:
            await self._showing.accept(wanted.pipeline, wanted.version)
        except Unavailable as error:
            raise NotNow(409, str(error)) from error
        except PortError as error:
            raise NotNow(503, str(error)) from error
        return document({})

    async def _pause(self, request: Request) -> Response:
        wanted = await sent(request, Pause)
        try:
            self._showing.pause(wanted.pipeline, paused=wanted.paused)
        except Unavailable as error:
            raise NotNow(404, str(error)) from error
        return document({})

    async def _figures(self, request: Request) -> Response:
        assert self._metrics is not None, "else it has no such route"
        body, kind = self._metrics(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": kind, "Cache-Control": "no-store"})


def _no_picture(reason: str) -> Response:
    """To whoever follows a camera it is no fault that there is none now, which a browser would log as one."""
    return Response(status_code=204, headers={"Cache-Control": "no-store", "X-Shoal-Reason": quote(reason)})


def _pipeline(request: Request) -> str:
    return request.query_params.get("pipeline", MAIN)
