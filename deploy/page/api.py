"""The addresses of the fleet's page."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agent.adapters.web.answers import document, sent
from agent.adapters.web.events import Streams, event
from agent.adapters.web.gate import SIGN_IN_PAGE, person
from agent.adapters.web.not_now import NotNow
from agent.adapters.web.site import page
from agent.wire.errors import AgentError, ConfigError, PortError
from deploy.core.page import roles
from deploy.core.page.roles import Act
from deploy.core.page.words import ApproveAsked, Done, Me, StartAsked, SteerAsked, Turned
from deploy.core.refusal import Refused
from deploy.page import telling
from deploy.page.fanout import Fanout
from deploy.page.gate import FleetGate
from deploy.page.onlooker import Onlooker
from deploy.page.orders import Forbidden, Orders
from deploy.page.people import People
from deploy.page.telling import Telling, Unknown
from deploy.page.thread import LookerThread

T = TypeVar("T")

STATIC: Final = Path(__file__).parent / "static"
NAMELESS: Final = (
    "nobody has a name here, so nothing can be ordered: shoal users add NAME --role operator, typed on the "
    "controller's machine, makes the first"
)
NO_KEYS: Final = (
    "this copy of the workspace has no online keys, so it only shows: orders are given where shoal serve runs"
)
LIMIT: Final = 100
COMPRESSION: Final = 3
"""Of the table: a third of the time of the default, and a tenth more bytes."""


@dataclass(frozen=True, slots=True)
class _Table:
    of: tuple[object, ...]
    tag: str
    plain: bytes
    packed: bytes


class FleetApi:
    """
    Args:
        onlooker: what is known; used on `thread` alone.
        thread: its own.
        people: who has a name here.
        gate: in front of the page.
        streams: of this page.
        shows_only: nothing can be ordered here.
    """

    def __init__(
        self,
        onlooker: Onlooker,
        thread: LookerThread,
        people: People,
        gate: FleetGate,
        streams: Streams,
        *,
        shows_only: bool,
    ) -> None:
        self._onlooker, self._thread, self._streams = onlooker, thread, streams
        self._people, self._gate = people, gate
        self._telling, self._orders = Telling(onlooker), Orders(onlooker)
        self._shows_only = shows_only
        self._table: _Table | None = None
        self._one_table = asyncio.Lock()
        self.fanout = Fanout()

    def routes(self) -> list[BaseRoute]:
        post = partial(Route, methods=["POST"])
        return [
            Route("/", page(STATIC / "index.html"), methods=["GET"]),
            Route(SIGN_IN_PAGE, page(STATIC / "sign-in.html"), methods=["GET"]),
            Route("/api/me", self._me),
            Route("/api/fleet", self._fleet),
            Route("/api/stream", self._stream),
            Route("/api/devices/{device}", self._device),
            Route("/api/releases", self._releases),
            Route("/api/releases/{name}/{version}", self._release),
            Route("/api/rollouts", self._rollouts, methods=["GET"]),
            post("/api/rollouts", self._start),
            post("/api/rollouts/plan", self._plan),
            Route("/api/rollouts/{name}", self._rollout, methods=["GET"]),
            post("/api/rollouts/{name}/approve", self._approve),
            post("/api/rollouts/{name}/{verb}", self._steer),
            Route("/api/audit", self._audit),
            Route("/api/audit/verify", self._verify),
        ]

    async def _me(self, request: Request) -> Response:
        who, named = person(request), self._people.any
        note = self._people.fault or ("" if named else NAMELESS) or (NO_KEYS if self._shows_only else "")
        fleet = self._onlooker.workspace.settings.fleet
        return document(
            Me(
                name=who.name,
                role=who.role if who.name else None,
                may=(Act.LOOK,) if note else roles.allowed(who.role),
                sign_in=named,
                note=note,
                fleet=fleet.name,
                stream=fleet.stream,
            )
        )

    async def _fleet(self, request: Request) -> Response:
        self._thread.asked()
        async with self._one_table:
            table = await asyncio.to_thread(self._whole)
        headers = {"ETag": table.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == table.tag:
            return Response(status_code=304, headers=headers)
        packed = "gzip" in request.headers.get("accept-encoding", "")
        if packed:
            headers["Content-Encoding"] = "gzip"
        content = table.packed if packed else table.plain
        return Response(content, headers=headers, media_type="application/json")

    def _whole(self) -> _Table:
        """Made once for everybody who asks between two changes, and not on the onlooker's thread: to read a
        large fleet anew takes it seconds, in which what was known before is better than nothing.
        """
        looker = self._onlooker
        if self._table is None or self._table.of != (looker.version, looker.turned):
            now = looker.now()
            of = (now.version, Turned(broker=now.broker, controller=now.controller))
            plain = msgspec.json.encode(now)
            tag = f'"{now.version}-{abs(hash(of)):x}"'
            self._table = _Table(of, tag, plain, gzip.compress(plain, COMPRESSION))
        return self._table

    async def _stream(self, request: Request) -> Response:
        events = self.fanout.listen(lambda: event("broker", self._onlooker.turned))
        return self._streams.answer(events, lambda: self._gate.admit(request) is not None)

    async def _device(self, request: Request) -> Response:
        device = request.path_params["device"]
        found = await self._look(partial(self._telling.device, device))
        about = partial(telling.lines_about, self._onlooker.workspace, device)
        return document(replace(found, history=await _answered(asyncio.to_thread(about))))

    async def _releases(self, _: Request) -> Response:
        return document(await self._look(self._telling.releases))

    async def _release(self, request: Request) -> Response:
        name, version = request.path_params["name"], request.path_params["version"]
        return document(await self._look(partial(self._telling.release, name, version)))

    async def _rollouts(self, _: Request) -> Response:
        return document(await self._look(self._telling.rollouts))

    async def _rollout(self, request: Request) -> Response:
        return document(await self._look(partial(self._telling.rollout, request.path_params["name"])))

    async def _audit(self, request: Request) -> Response:
        before, limit = _number(request, "before"), _number(request, "limit")
        return document(await self._look(partial(self._telling.audit, before, limit or LIMIT)))

    async def _verify(self, _: Request) -> Response:
        verify = partial(telling.verified, self._onlooker.workspace)
        return document(await _answered(asyncio.to_thread(verify)))

    async def _plan(self, request: Request) -> Response:
        self._allow(request, Act.ORDER)
        asked = await sent(request, StartAsked)
        return document(await self._look(partial(self._orders.plan, asked)))

    async def _start(self, request: Request) -> Response:
        who = self._allow(request, Act.ORDER)
        asked = await sent(request, StartAsked)
        return await self._done(await self._look(partial(self._orders.start, asked, who)))

    async def _steer(self, request: Request) -> Response:
        who = self._allow(request, Act.ORDER)
        name, verb = request.path_params["name"], request.path_params["verb"]
        asked = await sent(request, SteerAsked)
        await self._look(partial(self._orders.steer, name, verb, asked, who))
        return await self._done(name)

    async def _approve(self, request: Request) -> Response:
        who = self._allow(request, Act.APPROVE)
        name = request.path_params["name"]
        asked = await sent(request, ApproveAsked)
        await self._look(partial(self._orders.approve, name, asked, who))
        return await self._done(name)

    async def _done(self, name: str) -> Response:
        """What stands in the ledger is looked at before anything is said of it."""
        self.fanout.tell(await self._look(self._onlooker.turn))
        found = await self._look(partial(self._telling.rollout, name))
        controller = self._onlooker.turned.controller
        words = "it stands in the ledger" + (
            ", and the controller carries it out" if controller.runs else f": {controller.words}"
        )
        return document(Done(rollout=found, words=words))

    def _allow(self, request: Request, act: Act) -> str:
        """
        Raises:
            NotNow: whoever asks may not, or nobody may here.
        """
        who = person(request)
        if words := "" if who.name else NAMELESS:
            raise NotNow(403, words)
        if words := (NO_KEYS if self._shows_only else "") or roles.refusal(who.name, who.role, act):
            raise NotNow(403, words)
        return who.name

    def _look(self, work: Callable[[], T]) -> Awaitable[T]:
        return _answered(self._thread.run(work))


async def _answered(work: Awaitable[T]) -> T:
    """
    Raises:
        NotNow: what went wrong, with the status that says whose turn it is.
    """
    try:
        return await work
    except AgentError as error:
        raise NotNow(_status(error), str(error)) from error


def _status(error: AgentError) -> int:
    match error:
        case Unknown():
            return 404
        case Forbidden():
            return 403
        case Refused():
            return 409
        case PortError() | ConfigError():
            return 503
        case _:
            return 400


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    if text and (not text.isdecimal() or len(text) > 15):
        raise NotNow(400, f"{name} is a number")
    return int(text) if text else None
