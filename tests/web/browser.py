"""A real Chromium looks at a page, and whatever it complains of fails the test."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

PHONE = (360, 780)
DESK = (1440, 900)
SIZES = pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
NARROW = (320, 640)
"""A desk's window of 1280 pixels, enlarged fourfold: nothing may be lost then."""
PATIENCE_MS = 20_000
KILLED = (
    "ERR_CONNECTION", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "ERR_CONTENT_LENGTH_MISMATCH",
)  # fmt: skip
"""What a browser notes by itself of requests that nobody answers, or not to the end."""
"""Of each wait: a busy machine is slow, and nothing here is about its speed but what says so."""


def chromium_path() -> str | None:
    found = os.environ.get("SHOAL_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    return found if found and Path(found).exists() else None


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """Chromium. While it runs, asyncio has a running loop in this thread: nothing else here may run one."""
    path = chromium_path()
    if path is None:
        pytest.skip("needs Chromium: apt install chromium, or name it in SHOAL_CHROMIUM")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Visit:
    """One page, and what was wrong with it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    forgiven: tuple[str, ...] = ()

    def forgive(self, *words: str) -> None:
        """Complaints with these words are expected from now on, such as those of a server that is killed."""
        self.forgiven = (*self.forgiven, *words)

    def grave(self) -> list[str]:
        return [one for one in self.complaints if not any(words in one for words in self.forgiven)]


def watched(page: Page, url: str) -> Visit:
    """Notes errors, warnings, and requests to anybody but the page's own server."""
    visit, own = Visit(page), urlsplit(url).netloc

    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            visit.complaints.append(f"console: {message.text}")

    def asked(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"blob", "data"} and parts.netloc != own:
            visit.complaints.append(f"foreign request: {request.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: visit.complaints.append(f"uncaught: {error}"))
    page.on("request", asked)
    return visit


class Visits:
    """Opens pages, each in a browser of its own as far as cookies go, and closes them."""

    def __init__(self, browser: Browser) -> None:
        self._browser, self._visits = browser, list[Visit]()

    def open(self, url: str, size: tuple[int, int] = DESK, *, dark: bool = False) -> Visit:
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
            # The certificates here are of the tests themselves.
            ignore_https_errors=True,
        )
        context.set_default_timeout(PATIENCE_MS)
        visit = watched(context.new_page(), url)
        self._visits.append(visit)
        visit.page.goto(url)
        return visit

    def close(self) -> list[str]:
        """All that was wrong."""
        for visit in self._visits:
            visit.page.context.close()
        return [one for visit in self._visits for one in visit.grave()]


def findings(page: Page) -> list[str]:
    """What axe finds, best practices and the size of what is touched included, in one line each."""
    found = Axe().run(page, options={"rules": {"target-size": {"enabled": True}}}).response["violations"]
    return [f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes'][:3]]}" for one in found]


_SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
_OVERLAPS = """selector => {
  const all = [...document.querySelectorAll(selector)].filter(one => one.offsetWidth);
  const words = one => (one.querySelector('h2') ?? one).textContent.trim().slice(0, 30) || one.className;
  const over = [];
  for (const [at, one] of all.entries()) for (const other of all.slice(at + 1)) {
    if (one.contains(other) || other.contains(one)) continue;
    const a = one.getBoundingClientRect(), b = other.getBoundingClientRect();
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 1) over.push(`${words(one)} lies over ${words(other)}`);
  }
  return over;
}"""
_OUTSIDE = """selector => [...document.querySelectorAll(selector)].filter(one => {
  const box = one.getBoundingClientRect();
  return box.width && (box.left < -1 || box.right > innerWidth + 1);
}).map(one => one.outerHTML.slice(0, 80))"""


def misplaced(page: Page, parts: str = ".card, .picture, header.top, .button") -> list[str]:
    """What scrolls sideways, lies over another or sticks out; `parts` is what must not."""
    sideways = ["the page scrolls sideways"] if page.evaluate(_SIDEWAYS) else []
    return [*sideways, *page.evaluate(_OVERLAPS, parts), *page.evaluate(_OUTSIDE, parts)]


_SPACED = """() => {
  const wide = new CSSStyleSheet();
  wide.replaceSync(
    '* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }');
  document.adoptedStyleSheets = [wide];
}"""


def spaced(page: Page) -> None:
    """Sets the text as widely as a reader may (WCAG 1.4.12)."""
    page.evaluate(_SPACED)


_REACHED = """() => {
  const one = document.activeElement;
  return one === document.body ? '' : one.getAttribute('aria-label') || one.textContent.trim().slice(0, 60)
    || one.labels?.[0]?.textContent.trim() || one.tagName;
}"""


def reached(page: Page, most: int = 80) -> list[str]:
    """What the key Tab comes by, in order, from the top of the page."""
    page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
    names = list[str]()
    for _ in range(most):
        page.keyboard.press("Tab")
        name = page.evaluate(_REACHED)
        if not name or (names and name == names[0]):
            break
        names.append(name)
    return names
