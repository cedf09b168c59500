"""`make screenshots`: pictures for the documentation, of a real device that runs a real model."""

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from agent.wire.topics import DeviceId
from deploy.adapters.broker_local import start_broker
from deploy.demo.models import broken, repackaged
from tests.mosquittos import free_port
from tests.rig import LABELS, PHOTOGRAPHS, POLICY, SHIPPED, Agent, fleet, listening, shoal
from tests.web import fleet_screenshots
from tests.web.browser import DESK, PHONE, Visits, started

FOLDER = Path(__file__).parents[2] / "docs" / "images"
SHOWN_MAX_BYTES = 200_000
DEVICE = DeviceId("pi-7")
MODEL = "lite0"
MINUTE_S = 62.0
"""Until the chart of the last minute is full."""
CAMERA = f'kind = "replay"\nfolder = "{PHOTOGRAPHS}"\nrate_fps = 4\nwidth_px = 640\nheight_px = 480\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with device() as url, started() as chromium:
        time.sleep(MINUTE_S)
        visits = Visits(chromium)
        for name, size in (("device", DESK), ("device-phone", PHONE)):
            page = visits.open(url, size).page
            page.locator(".picture figcaption").get_by_text("German shepherd").first.wait_for()
            keep(page, out / f"{name}.png")
        visits.close()
    with started() as chromium:
        fleet_screenshots.take(Visits(chromium), keep, out)


def keep(page: Page, path: Path) -> None:
    """The window as it is, in as many colours as make a file that a page of documentation loads at once."""
    taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for colours in (256, 128, 64):
        taken.quantize(colours, kmeans=1, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= SHOWN_MAX_BYTES:
            return
    raise SystemExit(f"{path} has {path.stat().st_size} bytes, more than {SHOWN_MAX_BYTES}: show less")


@contextlib.contextmanager
def device() -> Iterator[str]:
    """The address of its page. It has taken two releases and refused a third."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shoal-screenshots-")))
        of = fleet(folder, stack.enter_context(start_broker(folder / "broker")).url)
        port = free_port()
        web = f'[web]\nlisten = "127.0.0.1:{port}"\n'
        stack.enter_context(Agent(folder, of, camera=CAMERA, more=web, device=DEVICE))
        ear = stack.enter_context(listening(of, device=DEVICE))
        for version, (model, *more) in _releases(folder).items():
            where = ("--workspace", str(of.workspace.folder))
            signed = (
                f"--name={MODEL}",
                f"--version={version}",
                f"--labels={LABELS}",
                f"--golden={PHOTOGRAPHS}",
            )
            shoal("release", str(model), *signed, *more, *where)
            shoal("rollout", "start", f"{MODEL}@{version}", "--waves=all", "--replace=next", *POLICY, *where)
            ear.ended(version, 120.0)
        yield f"http://127.0.0.1:{port}/"


def _releases(folder: Path) -> dict[str, tuple[Path | str, ...]]:
    """By version: the file, and what `shoal release` is told besides; the last one is broken on purpose."""
    shipped = SHIPPED.read_bytes()
    made = {"1.0.0": shipped, "1.1.0": repackaged(shipped, LABELS), "1.2.0": broken(shipped)}
    for version, content in made.items():
        (folder / f"{version}.tflite").write_bytes(content)
    files = {version: (folder / f"{version}.tflite",) for version in made}
    return {**files, "1.2.0": (*files["1.2.0"], f"--golden-model={SHIPPED}", "--accept-disagreement")}


if __name__ == "__main__":
    main()
