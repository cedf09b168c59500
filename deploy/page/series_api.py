"""The addresses of measurements over time, and `/metrics` of the fleet."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agent.adapters.exposition import exposition
from agent.adapters.web.answers import document
from agent.adapters.web.not_now import NotNow
from agent.core.telemetry.families import Family
from agent.wire.errors import ConfigError, PortError
from agent.wire.topics import MAIN
from deploy.core.page import figures
from deploy.core.page.series import Classes
from deploy.page.collecting import Collecting, Range

T = TypeVar("T")

RANGE: Final = timedelta(hours=1)
"""Where none is asked for."""
SHARED_S: Final = 5.0
"""As often as something is added: so long everybody who asks the same is given one answer."""
SHARED_MAX: Final = 64
DRIFTS_FOR_S: Final = 60.0
"""They read an hour and a day of each release: a scrape is given what the last one within this was."""

FleetFamilies = Callable[[], Awaitable[Iterable[Family]]]


class SeriesApi:
    """
    Args:
        collecting: what is measured.
        fleet: the rest of the figures.
    """

    def __init__(self, collecting: Collecting, fleet: FleetFamilies) -> None:
        self._collecting, self._fleet = collecting, fleet
        self._shared: dict[str, tuple[float, asyncio.Future[object]]] = {}
        self._drifts: tuple[Classes, ...] = ()
        self._drifts_s = float("-inf")

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/series", self._names),
            Route("/api/series/latency", self._latency),
            Route("/api/series/classes", self._classes),
            Route("/api/series/running", self._running),
            Route("/api/series/devices/{device}", self._device),
            Route("/metrics", self._metrics),
        ]

    async def _names(self, _: Request) -> Response:
        return document(await _read(self._collecting.names))

    async def _latency(self, request: Request) -> Response:
        asked = request.query_params
        work = partial(
            self._collecting.latency,
            asked.get("stage", "invoke"),
            _range(request, "since", "until"),
            asked.get("release"),
            asked.get("hardware"),
        )
        return await self._for_all(request, work)

    async def _classes(self, request: Request) -> Response:
        asked = request.query_params
        if "release" not in asked:
            raise NotNow(400, "name the release, as ?release=name@version; /api/series lists them")
        against = _range(request, "from", "to") if "from" in asked else None
        range_ = _range(request, "since", "until")
        return await self._for_all(
            request, partial(self._collecting.classes, asked["release"], range_, against)
        )

    async def _running(self, request: Request) -> Response:
        work = partial(self._collecting.running_by, _range(request, "since", "until"))
        return await self._for_all(request, work)

    async def _for_all(self, request: Request, work: Callable[[], object]) -> Response:
        """Made once for all who ask the same at nearly the same time: pages ask for whole minutes."""
        key, now_s = f"{request.url.path}?{request.url.query}", time.monotonic()
        self._shared = {key: one for key, one in self._shared.items() if now_s - one[0] < SHARED_S}
        if key not in self._shared:
            if len(self._shared) >= SHARED_MAX:
                return document(await _read(work))
            self._shared[key] = now_s, asyncio.ensure_future(_read(work))
        try:
            return document(await asyncio.shield(self._shared[key][1]))
        except NotNow:
            self._shared.pop(key, None)
            raise

    async def _device(self, request: Request) -> Response:
        pipeline = request.query_params.get("pipeline", MAIN)
        return document(self._collecting.device(request.path_params["device"], pipeline))

    async def _metrics(self, request: Request) -> Response:
        try:
            families = [*await self._fleet(), *self._collecting.families()]
        except PortError as error:
            raise NotNow(503, str(error)) from error
        families += figures.of_drifts(await self._drifted())
        made = await asyncio.to_thread(exposition, families, request.headers.get("accept", ""))
        return Response(made.body, headers={"Content-Type": made.content_type, "Cache-Control": "no-store"})

    async def _drifted(self) -> tuple[Classes, ...]:
        """As they were a minute ago at most; none where the disk refuses, which has a figure of its own."""
        now_s = time.monotonic()
        if now_s - self._drifts_s >= DRIFTS_FOR_S:
            self._drifts_s = now_s
            try:
                self._drifts = await asyncio.to_thread(self._collecting.drifts)
            except PortError:
                self._drifts = ()
        return self._drifts


async def _read(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except ConfigError as error:
        raise NotNow(400, str(error)) from error
    except PortError as error:
        raise NotNow(503, str(error)) from error


def _range(request: Request, since: str, until: str) -> Range:
    """
    Raises:
        NotNow: one of the two is no instant.
    """
    end = _instant(request, until)
    begin = _instant(request, since)
    return Range(begin if begin is not None else (end or _now()) - RANGE, end)


def _instant(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise NotNow(400, f"{name} is an instant, such as 2026-11-22T15:00:00Z: {text[:40]!r}") from error


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
