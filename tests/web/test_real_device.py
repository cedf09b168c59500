"""A real device with a real model over a real broker, seen in a real Chromium."""

import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from deploy.adapters.broker_local import mosquitto_path, mosquitto_settings
from tests.mosquittos import Mosquitto, free_port
from tests.processes import descendants
from tests.rig import LABELS, SHIPPED, Agent, Fleet, fleet, listening, replay
from tests.web.browser import DESK, KILLED, PHONE, SIZES, Visits, findings, misplaced
from tests.web.fleet_visits import crowding

LIVE_S = 2.0
"""From opening the page to the first picture with its labels."""
TRIES = 4
"""A browser has its fonts to find once, and a machine has other work at times."""


@dataclass(slots=True)
class Site:
    """All that there is, until the module ends."""

    broker: Mosquitto
    agent: Agent
    url: str
    fleet: Fleet

    def answers(self, timeout_s: float = 60.0) -> None:
        end = time.monotonic() + timeout_s
        host, port = self.url.removeprefix("http://").rstrip("/").split(":")
        while True:
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1.0):
                return
            assert time.monotonic() < end, self.agent.log.read_text()[-2_000:]
            time.sleep(0.1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if mosquitto_path() is None:
        pytest.skip("needs Mosquitto, which can be killed and started again: apt install mosquitto")
    folder = tmp_path_factory.mktemp("site")
    broker = Mosquitto(folder, free_port())
    (folder / "mosquitto.conf").write_text(mosquitto_settings(folder, broker.port))
    port = free_port()
    with contextlib.ExitStack() as stack:
        stack.callback(broker.stop)
        broker.start()
        of = fleet(folder, f"mqtt://127.0.0.1:{broker.port}")
        of.release(SHIPPED, "1.0.0", f"--labels={LABELS}")
        of.roll_out("1.0.0")
        agent = stack.enter_context(
            Agent(folder, of, camera=replay(rate_fps=8.0), more=f'[web]\nlisten = "127.0.0.1:{port}"\n')
        )
        with listening(of) as ear:
            ear.ended("1.0.0", 120.0)
        yield Site(broker, agent, f"http://127.0.0.1:{port}/", of)


@SIZES
def test_the_page_is_live_within_two_seconds(visits: Visits, site: Site, size):
    for _ in range(TRIES):
        began = time.monotonic()
        page = visits.open(site.url, size).page
        page.locator(".picture figcaption").wait_for()
        took_s = time.monotonic() - began
        within_s = LIVE_S * crowding()
        if took_s < within_s:
            return
        page.close()
    assert took_s < within_s


@SIZES
def test_a_real_device_is_well_laid_out_accessible_and_moves(visits: Visits, site: Site, size):
    page = visits.open(site.url, size).page
    page.locator(".picture figcaption").wait_for()
    shown = page.locator(".picture .when").inner_text()
    expect(page.locator(".picture .when")).not_to_have_text(shown)
    assert misplaced(page) == []
    assert findings(page) == []
    assert page.locator(".picture img").evaluate("one => one.naturalWidth") > 100


def test_the_page_says_what_computes_the_model_and_why(visits: Visits, site: Site):
    page = visits.open(site.url).page
    model = page.get_by_role("region", name="Model", exact=True)
    manifest = site.fleet.manifest("1.0.0")
    expect(model).to_contain_text("rig 1.0.0")
    expect(model).to_contain_text(manifest.variants[0].artifact.digest)
    expect(model).to_contain_text("Why there")
    expect(page.get_by_role("region", name="Updates so far")).to_contain_text("kept")
    expect(page.get_by_role("region", name="What happened")).to_contain_text("rig 1.0.0 kept")
    newest = page.get_by_role("row", name=re.compile("^model")).get_by_role("cell").first
    expect(newest).to_have_text(re.compile(r"\d"))


def test_a_pause_holds_the_real_device_and_ends(visits: Visits, site: Site):
    page = visits.open(site.url, PHONE).page
    page.locator(".picture figcaption").wait_for()
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text("Paused: nothing is classified.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    before = page.locator(".picture .when").inner_text()
    expect(page.locator(".picture .when")).not_to_have_text(before)


def test_a_broker_that_dies_and_returns_is_said_while_pictures_go_on(visits: Visits, site: Site):
    page = visits.open(site.url, DESK).page
    header = page.locator("header.top")
    expect(header).to_contain_text("broker connected")
    site.broker.kill()
    expect(header).to_contain_text("broker away since", timeout=30_000)
    before = page.locator(".picture .when").inner_text()
    expect(page.locator(".picture .when")).not_to_have_text(before)
    site.broker.start()
    expect(header).to_contain_text("broker connected", timeout=90_000)


def test_a_worker_that_is_killed_is_no_error_of_the_page(visits: Visits, site: Site):
    page = visits.open(site.url, DESK).page
    page.locator(".picture figcaption").wait_for()
    assert site.agent.process is not None
    (worker,) = (pid for pid, what in descendants(site.agent.process.pid).items() if what == "worker")
    os.kill(worker, signal.SIGKILL)
    expect(page.get_by_role("region", name="What happened")).to_contain_text("The worker was restarted")
    before = page.locator(".picture .when").inner_text()
    expect(page.locator(".picture .when")).not_to_have_text(before, timeout=60_000)
    expect(page.locator(".picture img")).not_to_have_class("past")


def test_a_page_comes_back_by_itself_after_its_device_was_killed(visits: Visits, site: Site):
    visit = visits.open(site.url, PHONE)
    page = visit.page
    page.locator(".picture figcaption").wait_for()
    visit.forgive(*KILLED)
    site.agent.kill()
    expect(page.get_by_role("alert")).to_contain_text("Connection lost since")
    assert findings(page) == []
    site.agent.start()
    site.answers()
    expect(page.get_by_role("alert")).to_have_count(0, timeout=60_000)
    expect(page.get_by_text("Connection lost")).to_have_count(0)
    before = page.locator(".picture .when").inner_text()
    expect(page.locator(".picture .when")).not_to_have_text(before, timeout=60_000)
