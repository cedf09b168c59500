import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
import urllib.request
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.adapters.web import server as server_module
from agent.adapters.web.events import Events, Streams, event
from agent.adapters.web.gate import Gate
from agent.adapters.web.server import Down, Server, Tls, Up
from agent.adapters.web.site import site
from agent.core.page.place import Place, parse
from tests.fakes.served import serving

SHORT_S = 0.02


async def _forever() -> Events:
    number = 0
    while True:
        yield event("tick", number)
        number += 1
        await asyncio.sleep(SHORT_S)


def ticking(streams: Streams, ended: list[str] | None = None):
    async def events() -> Events:
        try:
            async for each in _forever():
                yield each
        finally:
            if ended is not None:
                ended.append("ended")

    async def stream(_: Request) -> Response:
        return streams.answer(events(), lambda: True)

    async def wait(_: Request) -> Response:
        await streams.unless_closed(asyncio.sleep(60))
        raise AssertionError

    async def slow(_: Request) -> Response:
        await asyncio.sleep(60)
        raise AssertionError

    routes = [Route("/api/stream", stream), Route("/api/wait", wait), Route("/api/slow", slow)]
    return site(routes, Gate(None, "t", tls=False))


def test_a_stream_tells_what_happens_until_the_browser_leaves():
    ended: list[str] = []
    with serving(lambda streams: ticking(streams, ended)) as page:
        with page.stream("/api/stream") as told:
            lines = [told.readline() for _ in range(8)]
            assert told.getheader("content-type", "").startswith("text/event-stream")
        assert b"event: tick\n" in lines
        assert b"data: 0\n" in lines
        # The next one is let in only once those that left are gone.
        for _ in range(6):
            with page.stream("/api/stream") as told:
                assert told.status in {200, 503}
    assert ended
    assert set(ended) == {"ended"}


def test_one_stream_too_many_is_refused_in_one_sentence():
    with serving(ticking) as page, contextlib.ExitStack() as watching:
        for _ in range(3):
            told = watching.enter_context(page.stream("/api/stream"))
            assert told.readline() == b"retry: 1000\n"
        refused = page.ask("/api/stream")
    assert refused.status == 503
    assert set(refused.words) == {"error"}


def test_it_ends_within_a_second_though_browsers_watch_and_wait():
    with serving(ticking) as page, page.stream("/api/stream") as told:
        told.readline()
        with contextlib.closing(page.connect()) as waiting:
            waiting.request("GET", "/api/wait")
            page.ask("/healthz")
            took_s = page.stop()
            assert waiting.getresponse().status == 503
        assert told.read() is not None
    assert took_s < 1.5


async def turns(server_: Server, heard: "asyncio.Queue[Up | Down]", until: type) -> Up | Down:
    running = asyncio.create_task(server_.run())
    try:
        async with asyncio.timeout(20):
            while not isinstance(found := await heard.get(), until):
                pass
            return found
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_whoever_waits_for_something_slow_is_told_that_the_page_ends():
    with serving(ticking) as page, contextlib.closing(page.connect()) as waiting:
        waiting.request("GET", "/api/slow")
        page.ask("/healthz")
        page.stop()
        answer = waiting.getresponse()
        assert answer.status == 503
        assert b"this page ended before it had the answer" in answer.read()


def test_a_port_that_is_taken_is_said_once_and_had_once_it_is_free(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server_module, "RETRY_MIN_S", SHORT_S)

    async def run() -> list[Up | Down]:
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
            place, heard = Place("127.0.0.1", taken.getsockname()[1]), []
            came = asyncio.Event()

            def turned(state: Up | Down) -> None:
                heard.append(state)
                if isinstance(state, Up):
                    came.set()

            streams = Streams()
            running = asyncio.create_task(Server(ticking(streams), streams, place, turned=turned).run())
            await asyncio.sleep(10 * SHORT_S)
        async with asyncio.timeout(20):
            await came.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return heard

    first, second = asyncio.run(run())
    assert isinstance(first, Down)
    assert "Address already in use" in first.reason
    assert isinstance(second, Up)


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_certificate_that_is_none_is_a_reason_and_no_end(tmp_path: Path, content: bytes | None):
    certificate = tmp_path / "page.pem"
    if content is not None:
        certificate.write_bytes(content)

    async def run() -> Up | Down:
        heard: asyncio.Queue[Up | Down] = asyncio.Queue()
        streams, tls = Streams(), Tls(certificate, certificate)
        server_ = Server(ticking(streams), streams, parse("127.0.0.1:0"), tls, heard.put_nowait)
        return await turns(server_, heard, Down)

    found = asyncio.run(run())
    assert isinstance(found, Down)
    assert found.reason.startswith("the certificate or its key: ")


def test_it_speaks_https_with_a_certificate(tmp_path: Path):
    key, certificate = tmp_path / "key.pem", tmp_path / "page.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr

    async def run() -> bytes:
        heard: asyncio.Queue[Up | Down] = asyncio.Queue()
        streams = Streams()
        server_ = Server(
            ticking(streams), streams, parse("127.0.0.1:0"), Tls(certificate, key), heard.put_nowait
        )
        running = asyncio.create_task(server_.run())
        up = await asyncio.wait_for(heard.get(), 20)
        assert isinstance(up, Up)
        context = ssl.create_default_context(cafile=str(certificate))
        answer = await asyncio.to_thread(_read, f"{up.url}healthz", context)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return answer

    assert asyncio.run(run()) == b"ok\n"


def _read(url: str, context: ssl.SSLContext) -> bytes:
    with urllib.request.urlopen(url, context=context, timeout=20) as answer:
        return answer.read()


WHOLE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
BEGUN = (
    b"POST /api/sign-in HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
)


@pytest.mark.parametrize(
    "sent",
    [(b"",), (b"GET / HT",), (WHOLE, b"GET / HT"), (BEGUN,)],
    ids=["nothing", "head", "second", "body"],
)
def test_a_request_that_does_not_come_to_its_end_is_dropped(
    monkeypatch: pytest.MonkeyPatch, sent: tuple[bytes, ...]
):
    monkeypatch.setattr(server_module, "REQUEST_S", 10 * SHORT_S)
    with serving(ticking) as page, socket.create_connection((page.place.host, page.place.port), 20) as slow:
        for whole in sent[:-1]:
            slow.sendall(whole)
            answer = b""
            while not answer.endswith(b"ok\n"):
                answer += slow.recv(1000)
        slow.sendall(sent[-1])
        with contextlib.suppress(ConnectionResetError):
            assert slow.recv(1000) == b""
        assert page.ask("/healthz").status == 200


def test_slow_senders_that_fill_the_page_keep_nobody_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server_module, "CONNECTIONS_BESIDE", 1)
    with serving(ticking) as page, contextlib.ExitStack() as stack:
        watching = stack.enter_context(page.stream("/api/stream"))
        for _ in range(8):
            slow = stack.enter_context(socket.create_connection((page.place.host, page.place.port), 20))
            slow.sendall(BEGUN)
        assert page.ask("/healthz").status == 200
        assert watching.readline()


def test_a_viewer_that_reads_nothing_gives_its_place_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server_module, "UNREAD_S", 10 * SHORT_S)
    ended = threading.Event()

    async def flood() -> Events:
        try:
            while True:
                yield event("flood", "x" * 1_000_000)
        finally:
            ended.set()

    def flooding(streams: Streams):
        async def stream(_: Request) -> Response:
            return streams.answer(flood(), lambda: True)

        return site([Route("/api/stream", stream)], Gate(None, "t", tls=False))

    with serving(flooding) as page, page.stream("/api/stream"):
        assert ended.wait(20)


def test_a_key_with_a_pass_phrase_is_a_reason_and_no_question(tmp_path: Path):
    key, certificate = tmp_path / "key.pem", tmp_path / "page.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-passout", "pass:herring", "-keyout", key, "-out", certificate, "-subj", "/CN=localhost"],
        capture_output=True, check=True,
    )  # fmt: skip

    async def run() -> Up | Down:
        heard: asyncio.Queue[Up | Down] = asyncio.Queue()
        streams, tls = Streams(), Tls(certificate, key)
        server_ = Server(ticking(streams), streams, parse("127.0.0.1:0"), tls, heard.put_nowait)
        return await turns(server_, heard, Down)

    found = asyncio.run(run())
    assert isinstance(found, Down)
    assert found.reason.startswith("the certificate or its key: ")
