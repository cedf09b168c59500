"""Whether a wave is held while one sixteenth of the fleet is kept from the controller.

    python -m bench.withheld [--devices N]

A Mosquitto with its own defaults, real retained words of so many devices, each of which does what the plan
wants; repository, ledger, reading and gate are those of `shoal serve`. The broker's access list keeps one
shard back, without a word of its own: subscriptions are accepted, and answered by silence.
"""

import argparse
import os
import signal
import tempfile
import time
from pathlib import Path
from threading import Event

from agent.adapters.clock_system import SystemClock
from agent.wire import topics
from bench.controller import lay_down
from deploy.assemble.controller.serving import Controller
from deploy.core.rollouts.words import Judged, Steered
from tests.brokers import PlainMosquitto
from tests.fakes.controlled import Controlled

SHARD = "7"
RELOADED_S = 1.0
ROOT = topics.root("shoal/withheld")


class Guarded(PlainMosquitto):
    """With an access list that can change."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._access = folder / "access.txt"
        self.allow()
        self._settings.write_text(f"{self._settings.read_text()}acl_file {self._access}\n")

    def allow(self, *denied: str) -> None:
        rules = ["topic readwrite #", *(f"topic deny {each}" for each in denied)]
        self._access.write_text("\n".join((*rules, "")))
        self._access.chmod(0o600)
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGHUP)
            time.sleep(RELOADED_S)


def turned(fleet: Controlled) -> tuple[int, str, int, float]:
    """One look of a controller that begins again: the wave, what it says, devices seen, and seconds."""
    with fleet.desk() as desk:
        began_s = time.monotonic()
        Controller(desk, Event()).turn()
        took_s = time.monotonic() - began_s
        entries = [line.entry for line in desk.ledger.lines()]
        wave = [entry.wave for entry in entries if isinstance(entry, Steered)][-1]
        judged = [entry.judgement.words for entry in entries if isinstance(entry, Judged)]
        return wave, judged[-1], len(desk.live().picture().devices), took_s


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--devices", type=int, default=10_000)
    devices = options.parse_args().devices
    with tempfile.TemporaryDirectory() as name, Guarded(Path(name)) as broker:
        fleet = Controlled(Path(name), clock=SystemClock(), root=ROOT, url=broker.url)
        ids = fleet.ids(devices)
        lay_down(fleet, ids, None)
        with fleet.desk() as desk:
            desk.assert_stands()
            fleet.start(desk, "25%", "100%")
        lay_down(fleet, ids, fleet.plan())
        broker.allow(*(ROOT.shard_filter(channel, SHARD) for channel in (topics.STATUS, topics.REPORT)))
        withheld = turned(fleet)
        broker.allow()
        whole = turned(fleet)
    for said, (wave, words, seen, took_s) in (("withheld", withheld), ("all there", whole)):
        print(f"{said:10} wave {wave}, {seen} of {devices} devices known, {took_s:.1f} s: {words}")
    if withheld[0] != 0 or f"shard {SHARD}" not in withheld[1]:
        raise SystemExit("the wave was not held for the shard that was kept back")
    if whole[0] != 1 or whole[2] != devices:
        raise SystemExit("the wave did not go on with the whole fleet in sight")
    print("held while a shard was kept back, and gone on with the whole fleet")


if __name__ == "__main__":
    main()
