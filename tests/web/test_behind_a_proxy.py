"""Both pages behind a real nginx that is configured as the recipe says: own name or prefix, with TLS."""

import contextlib
import http.client
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from agent.adapters.web.passwords import OnePassword
from agent.core.page.access import FREE_TRIES
from deploy.adapters import workspace as workspaces
from tests.fakes import paged
from tests.mosquittos import free_port
from tests.web import nginx, words
from tests.web.browser import Visits
from tests.web.orchard import planted
from tests.web.scripted import Stage, on_stage

PASSWORD = "herring"


@dataclass(slots=True)
class Proxied:
    port: int
    stage: Stage

    def url(self, host: str, path: str = "/") -> str:
        return f"https://{host}:{self.port}{path}"

    @contextlib.contextmanager
    def asked(
        self, path: str, source: str = "127.0.0.1", token: str = PASSWORD, **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        """The head of what the device answers."""
        unchecked = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=unchecked, timeout=30, source_address=(source, 0)
        )
        own = {"Host": f"home.localhost:{self.port}", "Authorization": f"Bearer {token}"}
        with contextlib.closing(connection):
            connection.request("GET", f"/pi-1{path}", headers={**own, **headers})
            with connection.getresponse() as answer:
                yield answer

    def status(self, path: str, source: str = "127.0.0.1", token: str = PASSWORD, **headers: str) -> int:
        with self.asked(path, source, token, **headers) as answer:
            return answer.status


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("proxied")
    with contextlib.ExitStack() as stack:
        orchard = stack.enter_context(planted(folder, "orchard"))
        orchard.appear(3)
        with (orchard.controlled.workspace.folder / workspaces.FILE).open("a", encoding="utf-8") as file:
            file.write('\n[web]\nproxy = "127.0.0.1"\n')
        fleet = stack.enter_context(paged.page(orchard.controlled.workspace))
        stage = stack.enter_context(on_stage(words.now(), OnePassword(PASSWORD), proxy="127.0.0.1"))
        port = free_port()
        places = {8480: stage.url, 8470: fleet.url}
        upstreams = {named: url.split("/")[2] for named, url in places.items()}
        stack.enter_context(nginx.running(folder, port, upstreams))
        yield Proxied(port, stage)


def test_a_device_below_a_prefix_is_signed_in_to_seen_and_told(visits: Visits, proxied: Proxied):
    visit = visits.open(proxied.url("home.localhost", "/pi-1"))
    visit.forgive("401")
    page = visit.page
    expect(page).to_have_url(proxied.url("home.localhost", "/pi-1/sign-in"))
    page.get_by_label("Password").fill("carp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="pi-7")).to_be_visible()
    (cookie,) = page.context.cookies()
    assert (cookie["path"], cookie["secure"], cookie["httpOnly"]) == ("/pi-1/", True, True)
    for sequence in range(300, 304):
        proxied.stage.tell(words.seen(sequence, f"thing {sequence}"))
        expect(page.locator(".picture figcaption")).to_contain_text(f"thing {sequence}")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(proxied.url("home.localhost", "/pi-1/sign-in"))
    assert page.context.cookies() == []


@pytest.mark.parametrize(
    ("host", "prefix"), [("fleet.localhost", "/"), ("home.localhost", "/fleet/")], ids=["name", "prefix"]
)
def test_a_fleet_is_signed_in_to_and_followed(visits: Visits, proxied: Proxied, host: str, prefix: str):
    page = visits.open(proxied.url(host, prefix)).page
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password").fill(paged.PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator(".shown")).to_have_text("3 devices")
    page.get_by_role("link", name="Releases").click()
    expect(page).to_have_url(proxied.url(host, f"{prefix}#/releases"))
    assert {(one["path"], one["secure"]) for one in page.context.cookies()} == {(prefix, True)}


def test_a_stream_comes_through_as_it_is_told(proxied: Proxied):
    with proxied.asked("/api/stream") as stream:
        assert stream.readline() == b"retry: 1000\n"
        for sequence in range(900, 903):
            proxied.stage.tell(words.seen(sequence, f"thing {sequence}"))
            while f"thing {sequence}".encode() not in stream.readline():
                pass


def test_a_page_of_another_origin_is_refused_through_it_too(proxied: Proxied):
    own = proxied.url("home.localhost").rstrip("/")
    assert proxied.status("/api/now", Origin=own) == 200
    assert proxied.status("/api/now", Origin="https://evil.example") == 403


def test_who_guesses_slows_down_himself_and_nobody_else(proxied: Proxied):
    """Whatever he says of where he comes from: the proxy says it anew."""
    for number in range(FREE_TRIES):
        forged = {"X-Forwarded-For": f"10.0.0.{number}"}
        assert proxied.status("/api/now", "127.0.0.2", "carp", **forged) == 401
    assert proxied.status("/api/now", "127.0.0.2") == 429
    assert proxied.status("/api/now") == 200
