"""A site's broker serves a whole update while the one above it is away: `make site`.

Real Mosquittos with what `shoal broker-config` wrote, a real device with what `shoal enrol` gave it.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.wire import codec, seal
from agent.wire.reports import Report
from agent.wire.topics import EVENT, REPORT, DeviceId, Root
from deploy.adapters.workspace import find
from tests import rig
from tests.mosquittos import (
    HOST,
    Fleet,
    client,
    free_port,
    operators,
    options,
    running,
    secured,
    until,
)

ROOT, DEVICE = Root("shoal/home"), DeviceId("pi-1")
PATIENCE_S = 300.0


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="shoal-site-") as name, secured(Path(name)) as fleet:
        serve_a_site(fleet, Path(name))
    return 0


def serve_a_site(fleet: Fleet, folder: Path) -> None:
    """
    Raises:
        AssertionError: the device did not get its model, or nobody above heard of it.
    """
    port, site = free_port(), folder / "site"
    fleet.shoal("broker-config", "--bridge-to", fleet.broker.url, "--site", "hall", *options(site, port))
    path = _device(fleet, folder, port)
    made = rig.Fleet(find(fleet.folder), fleet.broker.url, ROOT)
    made.release(rig.SHIPPED, "1", f"--labels={rig.LABELS}")
    made.roll_out("1")
    above = _retained(fleet)
    with running(site, port), client(operators(fleet, port)) as listener:
        listener.up().hear(f"{ROOT.prefix}/#")
        until(lambda: set(listener.topics) >= above, PATIENCE_S)
        print(f"the site's broker holds {len(above)} retained messages; the one above goes away")
        fleet.broker.stop()
        event, began = ROOT.device(EVENT, DEVICE), time.monotonic()
        with started(path):
            listener.heard.wait_until(
                lambda heard: any(m.topic == event and b'"committed"' in m.payload for m in heard), PATIENCE_S
            )
            print(f"committed after {time.monotonic() - began:.1f} s; the one above comes back")
            fleet.broker.start()
            began = time.monotonic()
            _await_report(fleet)
            print(f"its sealed report was there after {time.monotonic() - began:.1f} s")


def _device(fleet: Fleet, folder: Path, port: int) -> Path:
    fleet.enrol(DEVICE, folder, "--broker", f"mqtts://{HOST}:{port}")
    path = folder / "agent.toml"
    text = path.read_text().replace("/var/lib/shoal", "state").replace("# window_s = 10.0", "window_s = 1")
    path.write_text(text.replace('kind = "auto"', rig.REPLAY.strip(), 1))
    return path


def _retained(fleet: Fleet) -> set[str]:
    """Topics of what is signed, and of its whole chunks, that the broker above holds."""
    filters = [f"{ROOT.prefix}/{what}/+" for what in ("meta", "target", "chunk")]
    with client(fleet.operator) as reader:
        reader.up().hear(*filters, "$SYS/broker/uptime")
        reader.heard.wait_until(lambda heard: any(m.topic.startswith("$SYS") for m in heard), PATIENCE_S)
        return {topic for topic in reader.topics if not topic.startswith("$SYS")}


def _await_report(fleet: Fleet) -> None:
    key = seal.key_from((fleet.folder / f"keys/devices/{DEVICE}.seal").read_bytes()).secret
    topic = ROOT.device(REPORT, DEVICE)

    def tells_of_it(content: bytes) -> bool:
        report = codec.decode(seal.unseal(topic, content, key), Report)
        return report.active is not None and report.active.version == "1"

    with client(fleet.operator) as upstairs:
        upstairs.up().hear(topic)
        upstairs.heard.wait_until(lambda heard: any(tells_of_it(m.payload) for m in heard), PATIENCE_S)


@contextmanager
def started(path: Path) -> Iterator[None]:
    with (path.parent / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "agent", "run", "--config", str(path)], stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
