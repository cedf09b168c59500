"""What people order in the page of a fleet, beside a real controller, over a real broker."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from deploy.adapters import approval_ed25519
from tests.fakes import paged
from tests.mosquittos import free_port
from tests.web.browser import KILLED, PHONE, Visits, findings, misplaced
from tests.web.fleet_visits import PARTS, enter, settled
from tests.web.orchard import Orchard, planted

DEVICES = 12
NAME = "autumn"
HOSTILE = "<img src=x onerror=document.title='owned'>"


@dataclass(slots=True)
class Site:
    orchard: Orchard
    url: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        planted(tmp_path_factory.mktemp("orders"), "orders") as orchard,
        orchard.controller(),
        paged.page(orchard.controlled.workspace) as page,
    ):
        yield Site(orchard, page.url)


def test_what_is_empty_says_what_to_do_next(visits: Visits, site: Site):
    page = settled(enter(visits, site.url, "olga"))
    expect(page.get_by_text("No device has reported to this broker yet.")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("shoal enrol DEVICE")).to_be_visible()
    page.get_by_role("link", name="Rollouts").click()
    expect(page.get_by_text("Nothing has been rolled out yet.")).to_be_visible()
    page.get_by_role("link", name="Measured").click()
    expect(page.get_by_text("Nothing was measured in this range")).to_be_visible()


def test_a_name_and_a_password_let_in_and_signing_out_lets_out(visits: Visits, site: Site):
    visit = visits.open(site.url)
    page = visit.page
    visit.forgive("401")
    expect(page.get_by_role("heading", name="Sign in to the fleet")).to_be_visible()
    assert findings(page) == []
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password").fill("a guess")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    page.get_by_label("Password").fill(paged.PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("vera, viewer")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to the fleet")).to_be_visible()


def test_a_viewer_is_told_who_may_order(visits: Visits, site: Site):
    page = settled(enter(visits, site.url, "vera", view="start"))
    expect(page.get_by_text("only an operator or an approver may begin or steer a rollout")).to_be_visible()
    page.get_by_role("link", name="Rollouts").click()
    expect(page.get_by_role("link", name="Start a rollout")).to_have_count(0)


def _confirm(page: Page, verb: str, **fields: str) -> None:
    """Open the order of this name, fill in what it asks, and confirm."""
    page.get_by_role("group", name="Orders").get_by_role("button", name=verb, exact=True).click()
    dialog = page.get_by_role("dialog")
    for label, text in fields.items():
        dialog.get_by_label(re.compile(f"^{label}")).fill(text)
    dialog.get_by_role("button", name=verb, exact=True).click()


def test_a_rollout_is_begun_from_its_preview_and_steered(visits: Visits, site: Site):
    site.orchard.appear(DEVICES)
    page = settled(enter(visits, site.url, "olga"))
    expect(page.locator(".shown")).to_have_text(f"{DEVICES} devices", timeout=30_000)
    page.get_by_role("link", name="Releases").click()
    page.get_by_role("link", name="cats@2").click()
    page.get_by_role("link", name="Start a rollout").click()
    page.get_by_label("Waves", exact=True).fill("1, 100%")
    page.get_by_label("Waves to be signed").fill("100%")
    page.get_by_label("Name").fill(NAME)
    page.get_by_role("button", name="Show what it would do").click()
    waves = page.get_by_role("region", name="Waves as they would be cut now")
    expect(waves.get_by_role("row")).to_have_count(3)
    expect(waves.get_by_role("row").nth(2)).to_contain_text("11")
    assert findings(page) == []
    page.get_by_role("button", name="Start this rollout").click()
    page.get_by_role("dialog").get_by_label(re.compile("^Why")).fill("a better model")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Rollout {NAME}")
    expect(page.get_by_text("plan 1: wave 1 of 2 (1): a better model")).to_be_visible(timeout=30_000)
    site.orchard.obey(DEVICES, 1)
    expect(page.locator(".wave.current .healthy").last).to_have_text("1 healthy", timeout=30_000)
    _confirm(page, "Pause", Why="lunch")
    expect(page.locator(".badge", has_text="paused")).to_be_visible(timeout=30_000)
    _confirm(page, "Resume", Why="lunch is over")
    expect(page.locator(".badge", has_text="running")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("resumed: lunch is over")).to_be_visible(timeout=30_000)


def test_a_wave_is_signed_by_a_second_person_whose_key_stays_in_the_page(
    visits: Visits, site: Site, tmp_path
):
    site.orchard.obey(DEVICES, 3)
    page = settled(enter(visits, site.url, "ava", PHONE, f"rollouts/{NAME}"))
    assert misplaced(page, PARTS) == []
    page.get_by_role("button", name="Sign with a key").click()
    stranger = tmp_path / "stranger.pem"
    approval_ed25519.create(stranger)
    sent = list[str]()
    page.on("request", lambda request: sent.append(request.post_data or ""))
    page.get_by_label(re.compile("^Your key")).set_input_files(stranger)
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("This key does not count")
    page.get_by_label(re.compile("^Your key")).set_input_files(site.orchard.key)
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.get_by_text("plan 4: wave 2 of 2 (100%)")).to_be_visible(timeout=60_000)
    secret = site.orchard.key.read_text(encoding="utf-8").splitlines()[1]
    assert any("signature" in each for each in sent)
    assert not any(secret in each for each in sent)


def test_an_abort_wants_a_reason_and_the_name_and_takes_all_back(visits: Visits, site: Site):
    page = settled(enter(visits, site.url, "olga", view=f"rollouts/{NAME}"))
    page.get_by_role("button", name="Abort").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The files of cats@2 are refused for ever")
    assert findings(page) == []
    dialog.get_by_role("button", name="Abort", exact=True).click()
    expect(dialog.get_by_role("alert")).to_have_text("Say why: it goes on record.")
    dialog.get_by_label(re.compile("^Why")).fill("it sees dogs")
    dialog.get_by_role("button", name="Abort", exact=True).click()
    expect(dialog.get_by_role("alert")).to_have_text(f"Type {NAME} to confirm.")
    dialog.get_by_label(re.compile("^Type")).fill(NAME)
    dialog.get_by_role("button", name="Abort", exact=True).click()
    expect(page.locator(".badge", has_text=re.compile("going back|reverted")).first).to_be_visible(
        timeout=60_000
    )
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_role("row", name=re.compile("it sees dogs")).first).to_be_visible()
    page.get_by_role("button", name="Verify every line").click()
    expect(page.locator(".note.good")).to_contain_text("Head:")


def test_what_a_device_says_is_text_and_nothing_else(visits: Visits, site: Site):
    site.orchard.says("pi-3", HOSTILE)
    page = settled(enter(visits, site.url, "vera", view="devices/pi-3"))
    expect(page.get_by_text(HOSTILE).first).to_be_visible(timeout=30_000)
    page.get_by_role("link", name="Devices", exact=True).click()
    page.get_by_label("Filter", exact=True).fill("pi-3")
    expect(page.locator(".grid-body")).to_contain_text("onerror")
    assert page.title().startswith("Devices")


def test_a_page_comes_back_by_itself_after_its_server_was_killed(visits: Visits, site: Site):
    site.orchard.appear(DEVICES)
    listen = f"--listen=127.0.0.1:{free_port()}"
    workspace = site.orchard.controlled.workspace
    with paged.page(workspace, listen) as server:
        visit = enter(visits, server.url, "vera")
        visit.forgive(*KILLED, "401")
        page = settled(visit)
        expect(page.locator(".shown")).to_have_text(f"{DEVICES} devices", timeout=30_000)
        server.process.kill()
        expect(page.locator(".banner")).to_contain_text("does not answer since", timeout=30_000)
        expect(page.locator(".shown")).to_have_text(f"{DEVICES} devices")
    with paged.page(workspace, listen):
        # Sessions end with their server, so that it asks for the name again.
        expect(page.get_by_role("heading", name="Sign in to the fleet")).to_be_visible(timeout=60_000)
