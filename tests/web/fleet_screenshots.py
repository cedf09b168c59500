"""Pictures for the documentation: a fleet whose devices are made up, its real page, a real broker."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.fakes import paged
from tests.web.browser import DESK, PHONE, Visits
from tests.web.fleet_visits import enter, settled
from tests.web.orchard import planted

DEVICES = 2_000
WAVES = ("1", "25%", "100%")


def take(visits: Visits, keep: Callable[[Page, Path], None], out: Path) -> None:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="shoal-screenshots-"))
        orchard = stack.enter_context(planted(Path(folder), "orchard"))
        orchard.appear(DEVICES)
        orchard.begin(*WAVES)
        stack.enter_context(orchard.controller())
        for serial in range(1, len(WAVES)):
            orchard.obey(DEVICES, serial)
        url = stack.enter_context(paged.page(orchard.controlled.workspace)).url
        for name, size, view in (
            ("fleet-devices", DESK, "devices"),
            ("fleet-devices-phone", PHONE, "devices"),
            ("fleet-rollout", DESK, "rollouts/r"),
        ):
            visit = enter(visits, url, "olga", size, view)
            expect(visit.page.get_by_text("healthy").first).to_be_visible()
            keep(settled(visit), out / f"{name}.png")
