"""A model to many devices at once: one retained message of it, or the chunks of it in sliding windows.

    python bench/fleet.py [--model FILE] [--devices N ...] [--runs R]

A Mosquitto with its own defaults, fresh for each run, and all devices in one other process: both have a core.
What is measured is the median of the runs.
    connect  s until all are connected, 50 at a time
    last     s until the last device has the whole model
    MB/s     of model bytes, over all devices
    broker   s of CPU of the broker meanwhile
    rss      MB of memory of the broker, before and at its highest
    ratio    of the time until the last device: chunks over the one message
What lines that break cost is measured by make bench-cuts.
"""

import argparse
import random
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import geteuid, sysconf
from pathlib import Path
from typing import Final

from receivers import Calm, Crowd, Device, Download, Wants, Whole, connect, publish

from agent.wire.documents import Artifact
from agent.wire.topics import Digest, sha256
from deploy.adapters.broker_local import mosquitto_path
from deploy.core.release.chunking import cut

ROOT: Final = Path(__file__).resolve().parents[1]
MODEL: Final = ROOT / "models" / "efficientnet_lite0" / "efficientnet_lite0_224_uint8.tflite"
MODEL_BYTES: Final = 4_000_000
"""Of the model: what a MobileNet v2 has."""
TIMEOUT_S: Final = 180.0
PREFIX: Final = "bench/chunk/"
WHOLE: Final = "bench/whole"
READY_S: Final = 20.0


@dataclass(frozen=True)
class Broker:
    port: int
    pid: int

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True)
class Measured:
    connect_s: float
    last_s: float
    cpu_s: float
    rss_before_mb: float
    rss_mb: float


@contextmanager
def broker() -> Iterator[Broker]:
    """Mosquitto with nothing set but where it listens and that it lets everybody in."""
    found = mosquitto_path()
    if found is None:
        raise SystemExit("bench/fleet.py measures Mosquitto: install it (Debian: apt install mosquitto)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "mosquitto.conf")
        user = "user root\n" if geteuid() == 0 else ""
        settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_type error\n{user}")
        process = subprocess.Popen(
            [found, "-c", str(settings)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_until_ready(port)
            yield Broker(port, process.pid)
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit(f"mosquitto did not start within {READY_S:g} s")


def retain(port: int, messages: Sequence[tuple[str, bytes]]) -> None:
    """Each handed over and acknowledged."""
    with socket.create_connection(("127.0.0.1", port), 10.0) as line, line.makefile("rb") as answers:
        line.sendall(connect("bench-publisher"))
        answers.read(4)
        for number, (topic, payload) in enumerate(messages, 1):
            line.sendall(publish(topic, payload, number))
            answers.read(4)
        line.sendall(b"\xe0\x00")


def run(content: bytes, artifact: Artifact, devices: Sequence[Device]) -> Measured:
    chunks = {chunk.digest: chunk.length for chunk in artifact.chunks}
    pieces: list[tuple[str, bytes]] = []
    start = 0
    for chunk in artifact.chunks:
        pieces.append((PREFIX + chunk.digest, content[start : start + chunk.length]))
        start += chunk.length
    assert len(chunks) == len(pieces)
    with broker() as served:
        whole = isinstance(devices[0].wants, Whole)
        retain(served.port, [(WHOLE, content)] if whole else pieces)
        crowd = Crowd(served.port, devices)
        began = time.monotonic()
        crowd.connect()
        connect_s = time.monotonic() - began
        before_mb, cpu_s, peak = served.rss_mb(), served.cpu_s(), [0.0]
        began = time.monotonic()
        crowd.download(TIMEOUT_S, lambda: peak.append(max(peak.pop(), served.rss_mb())))
        last = max(device.finished_at or 0.0 for device in devices) - began
        measured = Measured(connect_s, last, served.cpu_s() - cpu_s, before_mb, peak[0])
        crowd.close()
    return measured


def crowd_of(count: int, wants: Callable[[], Wants]) -> list[Device]:
    return [Device(f"device-{n}", wants()) for n in range(count)]


def ways(artifact: Artifact) -> dict[str, Callable[[], Wants]]:
    chunks = {chunk.digest: chunk.length for chunk in artifact.chunks}
    return {
        "one message": lambda: Whole(WHOLE, artifact.length),
        "chunks": lambda: Calm(chunks, PREFIX),
    }


def require_same_questions(artifact: Artifact) -> None:
    """The thousand ask for what the agent's own window asks for, whatever comes at once."""
    chunks = {chunk.digest: chunk.length for chunk in artifact.chunks}
    calm, real = Calm(chunks, PREFIX), Download(chunks, PREFIX)
    chance, under_way = random.Random(4), list[str]()  # noqa: S311 - how many come at once
    while not real.done:
        asked = calm.next()
        assert asked == real.next()
        under_way += asked
        for topic in under_way[: chance.randrange(1, 9)]:
            under_way.remove(topic)
            for each in (calm, real):
                each.received(topic, chunks[Digest(topic.removeprefix(PREFIX))])
        real.done = calm.done


def median(runs: Sequence[Measured]) -> Measured:
    return sorted(runs, key=lambda each: each.last_s)[len(runs) // 2]


def compare(content: bytes, artifact: Artifact, count: int, runs: int) -> None:
    found: dict[str, list[Measured]] = {name: [] for name in ways(artifact)}
    for number in range(runs):
        turns = list(ways(artifact).items())
        for name, wants in turns if number % 2 else turns[::-1]:
            found[name].append(run(content, artifact, crowd_of(count, wants)))
    pairs = zip(found["chunks"], found["one message"], strict=True)
    ratio = statistics.median(mine.last_s / its.last_s for mine, its in pairs)
    for name, measured in found.items():
        each, shown = median(measured), f"{ratio:.2f}" if name == "chunks" else ""
        speed = count * len(content) / 1e6 / each.last_s
        print(
            f"{count:>8}  {name:<12}{each.connect_s:>8.2f}{each.last_s:>8.2f}{speed:>8.0f}{each.cpu_s:>8.2f}"
            f"{each.rss_before_mb:>8.0f}{each.rss_mb:>8.0f}{shown:>8}",
            flush=True,
        )


def main() -> int:
    arguments = _parser().parse_args()
    content = arguments.model.read_bytes()[: arguments.bytes]
    artifact = cut(content)
    require_same_questions(artifact)
    most = max(arguments.devices) + 64
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(most, 1024), hard))
    print(f"{len(content)} bytes of {arguments.model.name}, sha256 {sha256(content)[:12]}, "
          f"{len(artifact.chunks)} chunks")  # fmt: skip
    heads = "".join(f"{head:>8}" for head in ("connect", "last", "MB/s", "broker", "rss", "most", "ratio"))
    print(f"{'devices':>8}  {'way':<12}{heads}")
    for count in arguments.devices:
        compare(content, artifact, count, arguments.runs)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--bytes", type=int, default=MODEL_BYTES, help="of it that count")
    parser.add_argument("--devices", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--runs", type=int, default=3)
    return parser


if __name__ == "__main__":
    sys.exit(main())
