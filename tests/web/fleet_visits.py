"""Somebody who has signed in to the page of a fleet."""

import os
import time
from collections.abc import Iterable

from playwright.sync_api import Page, expect

from tests.fakes.paged import PASSWORD
from tests.web.browser import DESK, Visit, Visits

PARTS = ".card, header.top, .top nav a, .button, .grid, .wave, .toolbar"
"""What must lie beside each other and on the screen."""

TYPED = ("p", "pi", "pi-4", "pi-42", "pi-42 hall-2", "tag:hall-2", "")

_TYPED = """text => new Promise(done => {
  const field = document.querySelector('input[type=search]');
  field.value = text;
  field.dispatchEvent(new Event('input', { bubbles: true }));
  requestAnimationFrame(() => setTimeout(done));
})"""

_SCROLLED = """frames => new Promise(done => {
  const grid = document.querySelector('.grid');
  const step = left => {
    grid.scrollTop += 1500;
    requestAnimationFrame(() => (left > 1 ? step(left - 1) : setTimeout(done)));
  };
  step(frames);
})"""


class Effort:
    """What the page's main thread has computed, in processor time: whatever else the machine does."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent_ms(self) -> float:
        """Since the page began."""
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return next(1000 * each["value"] for each in metrics if each["name"] == "TaskDuration")


def crowding() -> float:
    """How many want each processor of this machine: so much longer takes what is timed by the clock."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def painted_s(page: Page) -> float:
    """From asking for the page anew until the first devices are drawn."""
    began = time.monotonic()
    page.reload(wait_until="commit")
    page.locator(".grid-body .grid-row").first.wait_for()
    return time.monotonic() - began


def typed_ms(page: Page, texts: Iterable[str]) -> list[float]:
    """Of each text in the filter: until what it changes has been drawn."""
    effort, took = Effort(page), list[float]()
    for text in texts:
        before = effort.spent_ms()
        page.evaluate(_TYPED, text)
        took.append(effort.spent_ms() - before)
    return took


def scrolled_ms(page: Page, frames: int = 60) -> float:
    """Of each frame, when it shows none of the rows that the one before it showed."""
    effort = Effort(page)
    before = effort.spent_ms()
    page.evaluate(_SCROLLED, frames)
    return (effort.spent_ms() - before) / frames


def enter(
    visits: Visits,
    url: str,
    name: str,
    size: tuple[int, int] = DESK,
    view: str = "devices",
    *,
    dark: bool = False,
) -> Visit:
    """At this view, with the session of this user."""
    visit = visits.open(f"{url}sign-in", size, dark=dark)
    answer = visit.page.request.post(
        f"{url}api/sign-in", data={"name": name, "password": PASSWORD}, headers={"Origin": url.rstrip("/")}
    )
    assert answer.ok, answer.text()
    visit.page.goto(f"{url}#/{view}")
    return visit


def settled(visit: Visit) -> Page:
    """Everything that the view asked for at first is there."""
    page = visit.page
    page.locator(".top .who").wait_for()
    expect(page.get_by_text("Reading")).to_have_count(0)
    return page
