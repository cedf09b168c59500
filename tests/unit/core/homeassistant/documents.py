"""What a device of two pipelines tells a Home Assistant: the documents beside this file.

After a change that is meant, `python -m tests.unit.core.homeassistant.documents` writes them anew.
"""

from pathlib import Path

import msgspec

from agent.core.homeassistant.announcing import Announced, Portrait, announcement
from agent.core.homeassistant.entities import Scene
from agent.wire.homeassistant import NOTHING, ModelState
from agent.wire.topics import DeviceId, Root

FOLDER = Path(__file__).parent
SCENE = Scene(
    root=Root("shoal/home"),
    device=DeviceId("pi-7"),
    object_id="pi-7",
    window_s=10.0,
    pictures=True,
    silent_s={"main": 60.1},
    page="http://pi-7.local:8480/",
)
PORTRAIT = Portrait(
    name="Hall camera",
    model="Raspberry Pi 5 + Edge TPU (usb:0)",
    agent="0.6.0",
    area="Hall",
)
BEFORE = Announced(components={"old_top1": "sensor", "old_img": "image"})
ANNOUNCEMENT = announcement(SCENE, PORTRAIT, ("main", "door"), BEFORE)


def model(installed: str, latest: str, summary: str = "", percentage: int | None = None) -> ModelState:
    return ModelState(
        installed_version=installed,
        latest_version=latest,
        title="birds",
        release_summary=summary,
        in_progress=percentage is not None,
        update_percentage=percentage,
    )


MODELS = (
    model(NOTHING, "1.0.0"),
    model("1.0.0", "1.1.0", "It waits to be accepted."),
    model("1.0.0", "1.1.0", percentage=0),
    model("1.0.0", "1.1.0", percentage=100),
    model("1.1.0", "1.1.0", "x" * 255),
)
DOCUMENTS = {"announcement.json": ANNOUNCEMENT, "models.json": MODELS}


def shown(document: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


if __name__ == "__main__":
    for name, document in DOCUMENTS.items():
        (FOLDER / name).write_bytes(shown(document))
