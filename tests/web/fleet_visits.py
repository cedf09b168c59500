"""Somebody who has signed in to the page of a fleet."""

from collections.abc import Iterable

from playwright.sync_api import Page, expect

from tests.fakes.paged import PASSWORD
from tests.web.browser import DESK, Visit, Visits

PARTS = ".card, header.top, .top nav a, .button, .grid, .wave, .toolbar"
"""What must lie beside each other and on the screen."""

TYPED = ("p", "pi", "pi-4", "pi-42", "pi-42 hall-2", "tag:hall-2", "")

_TYPED = """text => new Promise(done => {
  const field = document.querySelector('input[type=search]'), began = performance.now();
  field.value = text;
  field.dispatchEvent(new Event('input', { bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""

_SCROLLED = """frames => new Promise(done => {
  const grid = document.querySelector('.grid'), took = [];
  let last = performance.now(), left = frames;
  const step = () => {
    const now = performance.now();
    took.push(now - last);
    last = now;
    grid.scrollTop += 1500;
    if (left-- > 0) requestAnimationFrame(step); else done(took.slice(1));
  };
  requestAnimationFrame(step);
})"""


def typed_ms(page: Page, texts: Iterable[str]) -> list[float]:
    """Of each text in the filter: from the key until what it changes has been drawn."""
    return [page.evaluate(_TYPED, text) for text in texts]


def scrolled_ms(page: Page, frames: int = 60) -> list[float]:
    """From each frame to the next, each some forty rows further."""
    return page.evaluate(_SCROLLED, frames)


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
