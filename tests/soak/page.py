"""How soon the page of a fleet shows its devices, and what filtering and scrolling cost a browser.

python -m tests.soak.page --devices 5000
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from tests.fakes import paged
from tests.web.browser import Visits, started
from tests.web.fleet_visits import TYPED, enter, painted_s, scrolled_ms, settled, typed_ms
from tests.web.orchard import planted

TRIES = 5
_FIRST = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=5_000)
    devices = parser.parse_args().devices
    with tempfile.TemporaryDirectory() as folder, planted(Path(folder), "page") as orchard:
        orchard.begin("5%", "25%", "100%")
        orchard.appear(devices)
        with paged.page(orchard.controlled.workspace) as page, started() as chromium:
            visitor = paged.Visitor(page.url)
            visitor.sign_in("vera")
            visitor.until("/api/fleet", lambda told: told["counts"]["devices"] == devices)
            visits = Visits(chromium)
            try:
                _measure(visits, page.url, devices)
            finally:
                visits.close()


def _measure(visits: Visits, url: str, devices: int) -> None:
    page = settled(enter(visits, url, "vera"))
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


if __name__ == "__main__":
    main()
