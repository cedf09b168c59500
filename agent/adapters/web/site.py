"""The application of a page: its routes behind the gate, and what every answer says to a browser."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.adapters.web.answers import on_bug, on_http, on_not_now, refusal
from agent.adapters.web.gate import SIGN_IN_PAGE, Gate, Guarded
from agent.adapters.web.not_now import NotNow

STATIC: Final = Path(__file__).parent / "static"
"""The style, the components and the libraries that all pages are made of."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Frames are blobs; whatever is not named is not to be had, and no text becomes markup."""
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
COMPRESSION: Final = 5


def site(routes: Sequence[BaseRoute], gate: Gate, static: Mapping[str, Path] | None = None) -> ASGIApp:
    """
    Args:
        routes: of the page itself. Whatever they raise as `NotNow` is answered.
        gate: in front of all but `/sign-in`, `/static/` and `/healthz`.
        static: further folders of files for browsers, by the name below `/static/`.
    """
    below = [Mount(f"/static/{name}", StaticFiles(directory=path)) for name, path in (static or {}).items()]
    return Starlette(
        routes=[
            *routes,
            *gate.routes(),
            Route(SIGN_IN_PAGE, page(STATIC / "sign-in.html"), methods=["GET"]),
            Route("/healthz", _healthy),
            Route("/favicon.ico", page(STATIC / "favicon.svg"), methods=["GET"]),
            *below,
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(Headed),
            Middleware(Ending),
            Middleware(GZipMiddleware, minimum_size=500, compresslevel=COMPRESSION),
            Middleware(Guarded, gate=gate),
        ],
        exception_handlers={NotNow: on_not_now, HTTPException: on_http, 500: on_bug},
    )


class page:  # noqa: N801 - used as a function: an endpoint with the file it stands for
    """The endpoint that answers with this file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await FileResponse(self._file)(scope, receive, send)


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


class Headed:
    """Says with each answer what a browser may load, and that it is to ask again unless told otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-cache")
                headers.update(HEADERS)
            await send(message)

        await self._app(scope, receive, sent)


class Ending:
    """Whoever waits for an answer when the page ends is told so: the server cancels what is not done then."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except asyncio.CancelledError:
            if begun:
                raise
            words = "this page ended before it had the answer: look again in a moment whether it was done"
            await refusal(503, words)(scope, receive, send)
