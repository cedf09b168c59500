"""How soon the page of a fleet shows its devices, and what filtering and scrolling cost a browser: of a fleet
that is quiet, of one in which CHANGES devices a second say something else, and when all come or go at once.

python -m tests.soak.page --devices 5000
"""

import argparse
import contextlib
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page

from tests.fakes import paged
from tests.web.browser import Visits, started
from tests.web.fleet_visits import TYPED, Effort, enter, painted_s, scrolled_ms, settled, typed_ms
from tests.web.orchard import AWAY, Orchard, planted

TRIES = 5
CHANGES = 500
CHANGED = 20_000
AT_ONCE_MS = 180_000
_FIRST = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=5_000)
    devices = parser.parse_args().devices
    with tempfile.TemporaryDirectory() as folder, planted(Path(folder), "page") as orchard:
        orchard.begin("5%", "25%", "100%")
        with paged.page(orchard.controlled.workspace) as served, started() as chromium:
            visits = Visits(chromium)
            try:
                page = settled(enter(visits, served.url, "vera"))
                _all_at_once(page, orchard, devices)
                _quiet(page, devices)
                _changing(page, orchard, devices)
            finally:
                visits.close()


def _all_at_once(page: Page, orchard: Orchard, devices: int) -> None:
    effort = Effort(page)
    away = f"offline {devices // AWAY:,}"
    acts = (("appear", orchard.appear, away), ("leave", orchard.leave, f"offline {devices - 1:,}"),
            ("return", orchard.appear, away))  # fmt: skip
    for what, act, words in acts:
        before, began = effort.spent_ms(), time.monotonic()
        act(devices)
        page.get_by_role("button", name=words, exact=True).wait_for(timeout=AT_ONCE_MS)
        spent = effort.spent_ms() - before
        print(f"all {what:8} {time.monotonic() - began:.1f} s until it is shown, {spent:.0f} ms of processor")


def _quiet(page: Page, devices: int) -> None:
    firsts, rows = list[float](), list[float]()
    for _ in range(TRIES):
        rows.append(painted_s(page))
        firsts.append(page.evaluate(_FIRST) / 1000)
    typed = typed_ms(page, TYPED)
    print(f"devices      {devices:,}; load {Path('/proc/loadavg').read_text().split()[0]}")
    print(f"first paint  {statistics.median(firsts):.2f} s, at most {max(firsts):.2f} s")
    print(f"first rows   {statistics.median(rows):.2f} s, at most {max(rows):.2f} s")
    print(f"a key typed  {statistics.median(typed):.0f} ms of processor, at most {max(typed):.0f} ms")
    print(f"a frame      {scrolled_ms(page):.0f} ms of processor, forty rows further each")


def _changing(page: Page, orchard: Orchard, devices: int) -> None:
    before = _heap_mb(page)
    with _chatter(orchard, devices) as told:
        typed, frame = typed_ms(page, TYPED), scrolled_ms(page)
        while told[-1] < CHANGED:
            time.sleep(1.0)
    print(f"meanwhile {CHANGES} changes a second, or as many as this machine sends:")
    print(f"a key typed  {statistics.median(typed):.0f} ms of processor, at most {max(typed):.0f} ms")
    print(f"a frame      {frame:.0f} ms of processor")
    print(
        f"memory       {before:.1f} MB of objects before, {_heap_mb(page):.1f} MB after {told[-1]:,} changes"
    )


@contextlib.contextmanager
def _chatter(orchard: Orchard, devices: int) -> Iterator[list[int]]:
    """Devices say something else, a tenth of a second's worth at a time; yields how many have so far."""
    told, stop, some = [0], threading.Event(), CHANGES // 10

    def talk() -> None:
        while not stop.wait(0.1):
            orchard.chatter([(told[-1] + n) % devices for n in range(some)], f"change {told[-1]}")
            told.append(told[-1] + some)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join()


def _heap_mb(page: Page) -> float:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(each["value"] / 1e6 for each in metrics if each["name"] == "JSHeapUsedSize")


if __name__ == "__main__":
    main()
