"""Five thousand devices on a real broker, and the page of their fleet in a real Chromium."""

import re
import statistics
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.fakes import paged
from tests.web.browser import NARROW, PHONE, SIZES, Visits, findings, misplaced, spaced
from tests.web.fleet_visits import PARTS, TYPED, crowding, enter, painted_s, scrolled_ms, settled, typed_ms
from tests.web.orchard import AWAY, Orchard, planted

DEVICES = 5_000
OFFLINE = DEVICES // AWAY
PAINT_S = 2.0
TRIES = 5
VIEWS = (
    "devices", "devices/pi-7", "rollouts", "rollouts/r", "releases", "releases/cats/2", "measured", "audit",
)  # fmt: skip
STALL_MS = 100.0
"""Of processor time: nobody calls less a stall."""
LATE_MS = 90_000
"""Until a busy machine has judged every device anew."""


@pytest.fixture(scope="module")
def orchard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchard]:
    with planted(tmp_path_factory.mktemp("orchard"), "orchard") as made:
        made.begin("5%", "25%", "100%")
        made.appear(DEVICES)
        yield made


@pytest.fixture(scope="module")
def url(orchard: Orchard) -> Iterator[str]:
    with paged.page(orchard.controlled.workspace) as page:
        visitor = paged.Visitor(page.url)
        visitor.sign_in("vera")
        visitor.until("/api/fleet", lambda told: told["counts"]["devices"] == DEVICES)
        yield page.url


def test_five_thousand_devices_are_painted_within_two_seconds(visits: Visits, url: str):
    page = settled(enter(visits, url, "vera"))
    # What else the machine does at the moment is not the page's doing.
    assert any(painted_s(page) < PAINT_S * crowding() for _ in range(TRIES))
    expect(page.locator(".shown")).to_have_text(f"{DEVICES:,} devices")
    assert page.locator(".grid-body .grid-row").count() < 60


@SIZES
def test_every_view_fits_the_screen_and_can_be_read_out(visits: Visits, url: str, size):
    visit = enter(visits, url, "vera", size, dark=size == PHONE)
    for view in VIEWS:
        visit.page.goto(f"{url}#/{view}")
        page = settled(visit)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert misplaced(page, PARTS) == [], view
        assert findings(page) == [], view
    if size == PHONE:
        assert {view: lost for view in VIEWS if (lost := squeezed(visit.page, f"{url}#/{view}"))} == {}


def squeezed(page: Page, address: str) -> list[str]:
    """What does not fit at the least width, with the text set as widely as anybody may want it."""
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    page.goto(address)
    expect(page.get_by_text("Reading")).to_have_count(0)
    spaced(page)
    return misplaced(page, PARTS)


def test_typing_filters_without_a_stall_and_the_filter_is_in_the_address(visits: Visits, url: str):
    page = settled(enter(visits, url, "vera"))
    assert statistics.median(typed_ms(page, TYPED)) < STALL_MS
    page.get_by_label("Filter", exact=True).fill("tag:hall-2 is:offline")
    expect(page.locator(".shown")).to_have_text(re.compile(rf"^\d+ of {DEVICES:,} devices$"))
    expect(page).to_have_url(re.compile("q=tag%3Ahall-2"))
    page.reload()
    expect(page.get_by_label("Filter", exact=True)).to_have_value("tag:hall-2 is:offline")
    for row in page.locator(".grid-body .grid-row").all():
        expect(row).to_contain_text("hall-2")
        expect(row).to_contain_text("offline")


def test_scrolling_goes_on_without_a_stall_and_shows_no_gap(visits: Visits, url: str):
    page = settled(enter(visits, url, "vera"))
    assert scrolled_ms(page) < STALL_MS
    grid = page.locator(".grid")
    grid.evaluate("one => { one.scrollTop = one.scrollHeight; }")
    last = page.locator(f"[role=row][aria-rowindex='{DEVICES + 1}']")
    expect(last).to_be_in_viewport()
    covered = grid.evaluate(
        """one => { const box = one.getBoundingClientRect();
          return [80, box.height / 2, box.height - 60].map(down =>
            Boolean(document.elementFromPoint(box.left + 40, box.top + down).closest('.grid-row'))); }"""
    )
    assert covered == [True, True, True]


def test_a_count_shows_those_it_counts_and_all_again(visits: Visits, url: str):
    page = settled(enter(visits, url, "vera"))
    count = page.get_by_role("button", name=f"offline {OFFLINE}")
    count.click()
    expect(page.locator(".shown")).to_have_text(f"{OFFLINE} of {DEVICES:,} devices")
    expect(count).to_have_attribute("aria-pressed", "true")
    count.click()
    expect(page.locator(".shown")).to_have_text(f"{DEVICES:,} devices")


def test_columns_sort_both_ways_and_say_so(visits: Visits, url: str):
    page = settled(enter(visits, url, "vera"))
    head, first = page.get_by_role("columnheader", name="Device"), page.locator("#row-0")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(first).to_contain_text("pi-0")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(first).to_contain_text(f"pi-{DEVICES - 1}")


def test_the_keyboard_walks_opens_and_comes_back(visits: Visits, url: str):
    page = settled(enter(visits, url, "vera"))
    page.get_by_label("Filter", exact=True).fill("id:pi-17")
    expect(page.locator(".grid-body .grid-row")).to_have_count(1)
    page.get_by_role("grid", name="Devices").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#row-0")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("pi-17")
    expect(heading).to_be_focused()
    expect(page).to_have_title(re.compile("^pi-17"))
    expect(page.get_by_text("shoal why pi-17")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Filter", exact=True)).to_have_value("id:pi-17")


def test_what_devices_tell_is_shown_without_moving_the_row_that_is_pointed_at(
    visits: Visits, url: str, orchard: Orchard
):
    page = settled(enter(visits, url, "vera"))
    page.get_by_role("columnheader", name="Release").get_by_role("button").click()
    row = page.locator("#row-3")
    name = row.locator(".device a").inner_text()
    row.hover()
    orchard.upgrade(name)
    expect(row).to_contain_text("cats@2", timeout=LATE_MS)
    expect(row).to_contain_text(name)
    expect(page.locator(".shown")).to_contain_text("order held")
    page.get_by_label("Filter", exact=True).hover()
    expect(row).not_to_contain_text(name)


def test_who_is_one_too_many_is_told_that_and_sees_the_fleet_as_it_was(visits: Visits, url: str):
    visit = enter(visits, url, "vera")
    page, words = settled(visit), "256 watch this page already: close one, or try again later"
    visit.forgive("503")
    page.route("**/api/stream", lambda route: route.fulfill(status=503, json={"error": words}))
    page.reload()
    notices = page.get_by_role("region", name="Notices")
    expect(notices.get_by_text(words)).to_be_visible()
    expect(notices.get_by_text("does not answer")).to_have_count(0)
    expect(page.locator(".shown")).to_have_text(f"{DEVICES:,} devices")
    page.unroute("**/api/stream")
    expect(notices.get_by_text(words)).to_have_count(0)


def test_a_broker_that_dies_and_returns_is_said_and_the_fleet_stays_in_sight(
    visits: Visits, url: str, orchard: Orchard
):
    page = settled(enter(visits, url, "vera", PHONE))
    orchard.broker.kill()
    try:
        away = page.locator(".banner", has_text="is away since")
        expect(away).to_be_visible(timeout=LATE_MS)
        expect(page.locator(".shown")).to_have_text(f"{DEVICES:,} devices")
        assert misplaced(page, PARTS) == []
    finally:
        orchard.broker.start()
    expect(away).to_have_count(0, timeout=LATE_MS)
