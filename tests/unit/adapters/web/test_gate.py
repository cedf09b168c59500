import asyncio
import logging
import socket
from collections.abc import Iterator

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from agent.adapters.web.answers import document, sent
from agent.adapters.web.gate import Gate, Guarded, Users, needs, person
from agent.adapters.web.passwords import OnePassword, matches, stored
from agent.adapters.web.site import site
from agent.core.page.access import FREE_TRIES, Person, Role
from agent.core.page.place import parse
from tests.fakes.served import Served, serving

PASSWORD = "a wet shoal"
BEHIND = parse("127.0.0.1:0", "127.0.0.1")


class Fleet:
    """Two users; what becomes of the second while he is signed in is the test's affair."""

    def __init__(self) -> None:
        self.people = {
            name: Person(name, role) for name, role in (("ada", Role.APPROVER), ("bob", Role.VIEWER))
        }

    def by_password(self, name: str, password: str) -> Person | None:
        return self.people.get(name) if password == PASSWORD else None

    def by_token(self, token: str) -> Person | None:
        return self.people["ada"] if token == "token" else None

    def still(self, who: Person) -> Person | None:
        return self.people.get(who.name)


async def _who(request: Request) -> Response:
    return document(person(request).name)


async def _act(request: Request) -> Response:
    needs(request, Role.OPERATOR)
    return document(await sent(request, dict[str, int]))


async def _fail(_: Request) -> Response:
    raise RuntimeError("a bug")


ROUTES = [
    Route("/", _who),
    Route("/api/who", _who),
    Route("/api/act", _act, methods=["POST"]),
    Route("/api/bug", _fail),
]


def page(users: Users | None) -> Iterator[Served]:
    with serving(lambda _: site(ROUTES, Gate(users, "t", tls=False))) as served:
        yield served


@pytest.fixture
def device() -> Iterator[Served]:
    yield from page(OnePassword(PASSWORD))


@pytest.fixture
def fleet() -> Iterator[tuple[Served, Fleet]]:
    users = Fleet()
    for served in page(users):
        yield served, users


@pytest.fixture
def local() -> Iterator[Served]:
    yield from page(None)


def test_nobody_gets_past_the_gate_without_a_word(device: Served):
    assert device.ask("/api/who").status == 401
    assert device.ask("/api/act", {}).status == 401
    assert device.ask("/nowhere").status == 401
    assert device.ask("/").headers["location"] == "sign-in"
    assert device.ask("/healthz").status == 200
    assert device.ask("/static/base.css").status == 200


@pytest.mark.parametrize(
    "path", ["/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py"]
)
def test_no_file_beside_those_for_browsers_is_handed_out(device: Served, path: str):
    answer = device.ask(path)
    assert answer.status in {401, 404}
    assert b"uvicorn" not in answer.body


@pytest.mark.parametrize("host", ["x/static/", "x/static/?", "x/healthz?", "[", "x/sign-in#", ""])
def test_no_host_that_one_may_claim_opens_the_gate(device: Served, host: str):
    gate = Guarded(_bare, Gate(OnePassword(PASSWORD), "t", tls=False))
    scope = {"type": "http", "method": "GET", "path": "/api/who", "headers": [(b"host", host.encode())]}
    told = list[Message]()

    async def send(message: Message) -> None:
        told.append(message)

    asyncio.run(gate(scope, _nothing, send))
    assert told[0]["status"] == 401
    assert device.ask("/api/who", host=host).status in {400, 401}


async def _bare(*_: object) -> None:
    raise AssertionError("it was let through")


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


@pytest.mark.parametrize("body", [b'{"x":' + b"[" * 60_000, b"[" * 60_000, b"\xff", b""])
def test_a_body_that_is_no_document_is_refused_in_one_sentence(device: Served, body: bytes):
    answer = device.ask("/api/sign-in", body)
    assert answer.status == 400
    assert answer.words["error"].startswith("the request is not what is expected: ")


def test_a_request_that_breaks_off_is_no_failure(device: Served, caplog: pytest.LogCaptureFixture):
    with socket.create_connection((device.place.host, device.place.port), 20) as line:
        line.sendall(
            b"POST /api/sign-in HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
    device.stop()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("path", ["/sign-in", "/favicon.ico"])
def test_a_page_is_only_read(device: Served, path: str):
    assert device.ask(path).status == 200
    assert device.ask(path, {}).status == 405


def test_the_password_opens_a_session_that_a_script_cannot_read(device: Served):
    answer = device.ask("/api/sign-in", {"password": PASSWORD})
    assert answer.status == 200
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))
    assert device.ask("/api/who").status == 200
    device.ask("/api/sign-out", {})
    device.cookies = {"shoal-t": answer.headers["set-cookie"].partition("=")[2].partition(";")[0]}
    assert device.ask("/api/who").status == 401


def test_a_program_shows_a_bearer_token(device: Served):
    assert device.ask("/api/who", authorization=f"Bearer {PASSWORD}").status == 200
    assert device.ask("/api/who", authorization="Bearer wrong").status == 401
    assert device.ask("/api/who", authorization=f"Basic {PASSWORD}").status == 401


def test_guessing_slows_down_whichever_way_one_guesses(device: Served):
    for number in range(FREE_TRIES):
        path, status = "/api/sign-in", 401
        guess = {"password": str(number)}
        assert (
            device.ask(path, guess) if number % 2 else device.ask("/api/who", authorization="Bearer no")
        ).status == status
    answer = device.ask("/api/sign-in", {"password": PASSWORD})
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert set(answer.words) == {"error"}


def test_a_page_of_another_origin_can_have_nothing_done(local: Served):
    ours = f"http://{local.place}"
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert local.ask("/api/act", {"n": 1}, **headers).status == 403
        assert local.ask("/api/who", **headers).status == 403
    assert local.ask("/api/act", {"n": 1}, origin=ours, sec_fetch_site="same-origin").status == 200
    behind_a_proxy = {"origin": "https://shoal.example", "sec_fetch_site": "same-origin"}
    assert local.ask("/api/act", {"n": 1}, **behind_a_proxy).status == 200
    assert local.ask("/api/act", {"n": 1}, content_type="text/plain").status == 415
    assert local.ask("/api/act", {"n": 1}).words == {"n": 1}


def test_without_a_password_only_our_own_name_is_answered_to(local: Served):
    assert local.ask("/api/who").status == 200
    assert local.ask("/api/who", host=f"localhost:{local.place.port}").status == 200
    assert local.ask("/api/who", host=f"[::1]:{local.place.port}").status == 200
    assert local.ask("/api/who", host="evil.example").status == 421


@pytest.mark.parametrize(
    ("listen", "users", "host", "status"),
    [
        ("[::1]:0", None, "[::1]", 200),
        ("[::1]:0", None, "[fe80::1]", 421),
        ("[::]:0", OnePassword(PASSWORD), "pi.local", 401),
    ],
)
def test_a_page_listens_on_ipv6_too(listen: str, users: Users | None, host: str, status: int):
    if not socket.has_dualstack_ipv6():
        pytest.skip("this host has no IPv6")
    with serving(lambda _: site(ROUTES, Gate(users, "t", tls=False)), parse(listen)) as served:
        assert served.ask("/api/who", host=host).status == status


def test_only_a_proxy_that_is_named_is_believed(device: Served):
    """Else whoever guesses would name another address each time."""
    guess = {"authorization": "Bearer wrong"}
    for number in range(FREE_TRIES):
        assert device.ask("/api/who", x_forwarded_for=f"10.0.0.{number}", **guess).status == 401
    assert device.ask("/api/who", x_forwarded_for="10.0.0.9", **guess).status == 429
    with serving(lambda _: site(ROUTES, Gate(OnePassword(PASSWORD), "t", tls=False)), BEHIND) as behind:
        for number in range(FREE_TRIES + 1):
            assert behind.ask("/api/who", x_forwarded_for=f"10.0.{number}.1", **guess).status == 401
        signed_in = behind.ask("/api/sign-in", {"password": PASSWORD}, x_forwarded_proto="https")
        assert "Secure" in signed_in.headers["set-cookie"].split("; ")


def test_a_role_bounds_what_one_may_do_and_counts_as_it_is_now(fleet: tuple[Served, Fleet]):
    page, users = fleet
    page.ask("/api/sign-in", {"name": "bob", "password": PASSWORD})
    assert page.ask("/api/who").words == "bob"
    refused = page.ask("/api/act", {"n": 1})
    assert (refused.status, refused.words) == (403, {"error": "bob is viewer, and this takes operator"})
    users.people["bob"] = Person("bob", Role.OPERATOR)
    assert page.ask("/api/act", {"n": 1}).status == 200
    del users.people["bob"]
    assert page.ask("/api/who").status == 401


@pytest.mark.parametrize(
    ("path", "sent_", "status"),
    [
        ("/nowhere", None, 404),
        ("/api/act", {"n": "x"}, 400),
        ("/api/act", {"n": "x" * 70_000}, 413),
        ("/api/who", {}, 405),
    ],
)
def test_whatever_is_wrong_is_said_in_one_sentence(local: Served, path, sent_, status):
    answer = local.ask(path, sent_)
    assert answer.status == status
    assert set(answer.words) == {"error"}


def test_every_answer_tells_a_browser_to_load_nothing_from_elsewhere(local: Served):
    for path in ("/", "/nowhere", "/static/base.css", "/api/who"):
        headers = local.ask(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert headers["x-content-type-options"] == "nosniff"


def test_a_file_that_the_browser_has_is_not_sent_again_and_any_is_sent_packed(local: Served):
    first = local.ask("/static/base.css", accept_encoding="gzip")
    assert first.headers["content-encoding"] == "gzip"
    again = local.ask("/static/base.css", if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_a_stored_password_matches_itself_only():
    kept = stored(PASSWORD)
    assert PASSWORD not in kept
    assert matches(PASSWORD, kept)
    assert not matches(PASSWORD + " ", kept)
    assert stored(PASSWORD) != kept
    assert not any(
        matches(PASSWORD, bad) for bad in ("", "x", "scrypt$99$8$1$AA==$AA==", "scrypt$1$1$1$%$AA==")
    )
