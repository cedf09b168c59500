"""What the page of a fleet costs, and how soon it answers, for fleets of 100 to 5,000 devices.

    python -m bench.fleet_page [DEVICES...]

Real retained words on a Mosquitto with its own defaults, a rollout under way, and the page as a program of
its own; no browser. `up` is from its start to its first answer, `read` to the table with every device in it;
`packed` and `whole` are the median of eleven requests for the table, and its bytes; `spoke` is from the
moment at which a device says something else to its row on the stream; `burst` the same, to the last row, when
every device does so at once; `busy` is the share of a processor while somebody watches a fleet that says
nothing.
"""

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.wire.topics import DeviceId
from tests.fakes import paged
from tests.fakes.paged import Program, Stream, Visitor
from tests.web.orchard import Orchard, planted

FLEETS: Final = (100, 1_000, 5_000)
REQUESTS: Final = 11
WATCHED_S: Final = 10.0
HEADINGS: Final = (
    "devices", "up s", "read s", "packed ms", "whole ms", "packed kB", "whole kB", "rollout ms", "device ms",
    "spoke s", "burst s", "busy", "MiB",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Costs:
    page: Program

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.page.process.pid}/stat").read_text(encoding="ascii").split()
        return sum(map(int, fields[13:15])) / 100

    @property
    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.page.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def measure(orchard: Orchard, count: int) -> Iterator[float]:
    orchard.appear(count)
    with orchard.controlled.desk() as desk:
        desk.assert_stands()
    orchard.begin("5%", "100%")
    orchard.appear(count)
    begun = time.perf_counter()
    with paged.page(orchard.controlled.workspace) as page:
        olga = Visitor(page.url)
        olga.sign_in("olga")
        yield time.perf_counter() - begun
        olga.until("/api/fleet", lambda told: told["counts"]["devices"] == count)
        yield time.perf_counter() - begun
        yield from answers(olga)
        costs = Costs(page)
        with olga.stream() as stream:
            stream.until("broker")
            yield from changes(orchard, olga, stream, count)
        with olga.stream() as stream:
            stream.until("broker")
            before = costs.cpu_s
            time.sleep(WATCHED_S)
            yield (costs.cpu_s - before) / WATCHED_S
        yield costs.resident_mib


def answers(olga: Visitor) -> Iterator[float]:
    packed = {"Accept-Encoding": "gzip"}
    yield milliseconds(lambda: olga.get("/api/fleet", **packed))
    yield milliseconds(lambda: olga.get("/api/fleet"))
    yield len(olga.get("/api/fleet", **packed).body) / 1000
    yield len(olga.get("/api/fleet").body) / 1000
    yield milliseconds(lambda: olga.get("/api/rollouts/r"))
    yield milliseconds(lambda: olga.get("/api/devices/pi-1"))


def changes(orchard: Orchard, olga: Visitor, stream: Stream, count: int) -> Iterator[float]:
    begun = time.perf_counter()
    orchard.says("pi-1", "the card is full")
    stream.until("fleet", lambda told: "pi-1" in {row["device"] for row in told["rows"]})
    yield time.perf_counter() - begun
    waiting = {str(DeviceId(f"pi-{number}")) for number in range(count)}
    begun = time.perf_counter()
    orchard.appear(count)
    while waiting:
        told = stream.until("fleet")
        rows = olga.get("/api/fleet").json["rows"] if told["anew"] else told["rows"]
        waiting -= {row["device"] for row in rows}
    yield time.perf_counter() - begun


def milliseconds(ask: Callable[[], object]) -> float:
    took = []
    for _ in range(REQUESTS):
        begun = time.perf_counter()
        ask()
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1000


def main(words: Sequence[str]) -> None:
    print("  ".join(f"{heading:>10}" for heading in HEADINGS))
    for count in map(int, words or map(str, FLEETS)):
        with tempfile.TemporaryDirectory() as folder, planted(Path(folder), "page") as orchard:
            cells = "  ".join(f"{value:>10.2f}" for value in measure(orchard, count))
        print(f"{count:>10}  {cells}", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1:])
