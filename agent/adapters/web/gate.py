"""Who is let in: a password once for a browser, which then holds a session, or a bearer token each time."""

import asyncio
import secrets
import time
from hashlib import sha256
from typing import Final, Protocol

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.adapters.web.answers import document, refusal, sent
from agent.adapters.web.not_now import NotNow
from agent.core.page.access import Person, Role, Sessions, Tries
from agent.core.page.place import own_name

TOKEN_BYTES: Final = 32
SIGN_IN_PAGE: Final = "/sign-in"
OPEN: Final = frozenset({SIGN_IN_PAGE, "/api/sign-in", "/healthz", "/favicon.ico"})
OPEN_BELOW: Final = "/static/"
API: Final = "/api/"
"""A page of another origin has no business there, not even to look: each look costs the device a picture."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
EVERYBODY: Final = Person("", Role.APPROVER)


class Users(Protocol):
    def by_password(self, name: str, password: str) -> Person | None:
        """Blocking; an unknown name takes as long as a wrong password."""
        ...

    def by_token(self, token: str) -> Person | None:
        """At once, in a time that says nothing of the tokens there are."""
        ...

    def still(self, person: Person) -> Person | None:
        """What this person, who signed in before, is now; None: no longer let in. At once."""
        ...


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    password: str
    name: str = ""


class Gate:
    """
    Args:
        users: None: whoever reaches the page is EVERYBODY, which is for loopback alone.
        name: tells apart the cookies of two pages of one host: cookies know no ports.
        tls: whether the page speaks https.
    """

    def __init__(self, users: Users | None, name: str, *, tls: bool) -> None:
        self._users = users
        self._cookie = f"{'__Host-' if tls else ''}shoal-{name}"
        self._sessions, self._tries = Sessions(), Tries()
        self._one_at_a_time = asyncio.Lock()

    @property
    def asks(self) -> bool:
        """Whether anybody has to sign in."""
        return self._users is not None

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/sign-in", self._sign_in, methods=["POST"]),
            Route("/api/sign-out", self._sign_out, methods=["POST"]),
        ]

    def admit(self, request: HTTPConnection) -> Person | None:
        """Whoever sent this, by session or token; None: nobody whom we know.

        Raises:
            NotNow: too many wrong tokens came from there.
        """
        if self._users is None:
            return EVERYBODY
        known = self._sessions.use(_digest(request.cookies.get(self._cookie, "")), time.monotonic())
        if known is not None:
            return self._users.still(known)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            return None
        self._begin_try(request)
        person = self._users.by_token(token.strip())
        if person is not None:
            self._tries.passed(_address(request))
        return person

    def _begin_try(self, request: HTTPConnection) -> None:
        wait_s = self._tries.begin(_address(request), time.monotonic())
        if wait_s > 0.0:
            raise NotNow(
                429,
                f"too many wrong tries from here: the next one is looked at in {wait_s:.0f} s",
                {"Retry-After": str(int(wait_s) + 1)},
            )

    async def _sign_in(self, request: Request) -> Response:
        wanted = await sent(request, SignIn)
        person: Person | None = EVERYBODY
        if self._users is not None:
            self._begin_try(request)
            # What examines a password takes memory and time on purpose.
            async with self._one_at_a_time:
                person = await asyncio.to_thread(self._users.by_password, wanted.name, wanted.password)
        if person is None:
            raise NotNow(
                401, "the name or the password is not right" if wanted.name else "the password is not right"
            )
        self._tries.passed(_address(request))
        return self._welcome(request, person)

    def _welcome(self, request: Request, person: Person) -> Response:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._sessions.begin(_digest(token), person, time.monotonic())
        answer = document({"name": person.name, "role": person.role})
        answer.set_cookie(self._cookie, token, secure=_secure(request), httponly=True, samesite="strict")
        return answer

    async def _sign_out(self, request: Request) -> Response:
        self._sessions.end(_digest(request.cookies.get(self._cookie, "")))
        answer = document({})
        answer.delete_cookie(self._cookie, secure=_secure(request), httponly=True, samesite="strict")
        return answer


class Guarded:
    """Lets nothing through to the application but what its gate admits."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "nothing else is served"
        request = HTTPConnection(scope)
        try:
            answer = self._stops(scope["method"], request)
        except NotNow as error:
            answer = refusal(error.status, error.words, error.headers)
        await (answer or self._app)(scope, receive, send)

    def _stops(self, method: str, request: HTTPConnection) -> Response | None:
        # Not the path of `request.url`, into which whoever asks writes by the header Host.
        path = request.scope["path"]
        if not self._gate.asks and not own_name(request.headers.get("host", "")):
            return refusal(
                421, "this page answers to localhost, 127.0.0.1 and [::1] only, as it asks for no password"
            )
        if (method not in SAFE_METHODS or path.startswith(API)) and not _same_origin(request):
            return refusal(403, "this was sent by a page of another origin")
        person = self._gate.admit(request)
        if person is None and path == "/":
            # Relative, for a proxy may have the page below a prefix of its own.
            return RedirectResponse(
                SIGN_IN_PAGE.removeprefix("/"), 303, headers={"Cache-Control": "no-store"}
            )
        if person is None and path not in OPEN and not path.startswith(OPEN_BELOW):
            return refusal(401, "sign in first", {"WWW-Authenticate": "Bearer"})
        request.state.person = person
        return None


def person(request: Request) -> Person:
    """Who asks."""
    found = request.state.person
    assert isinstance(found, Person), "only what is open to all has nobody"
    return found


def needs(request: Request, role: Role) -> Person:
    """
    Raises:
        NotNow: whoever asks has a lesser role.
    """
    who = person(request)
    if not who.role.covers(role):
        raise NotNow(403, f"{who.name} is {who.role}, and this takes {role}")
    return who


def _same_origin(request: HTTPConnection) -> bool:
    """A browser says where it comes from; programs do not, and carry no cookies by themselves.

    Over plain http it says less, and then the header Host must be the one that it asked for: a proxy is to
    leave it as it is.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host", "")


def _secure(request: Request) -> bool:
    """Whether it came by https, as far as a proxy that is believed tells."""
    return request.url.scheme == "https"


def _address(request: HTTPConnection) -> str:
    return request.client.host if request.client else ""


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
