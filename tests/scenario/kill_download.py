"""Downloads into a folder in child processes that are killed at random instants, and judges what is left.

    python -m tests.scenario.kill_download FOLDER KILLS SEED

A child tells over a pipe what was delivered to it and what it was promised (a record saved). After each
death the folder is opened anew and must hold what was promised; its answer is one JSON object.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from agent.adapters.packing_zstd import Zstandard
from agent.adapters.store_files import FileStore
from agent.core.update.lifecycle import Record
from agent.loops.connection import Connection
from agent.loops.release.fetch import fetch
from agent.ports.link import Message
from agent.wire.documents import Artifact, Chunk, Packed
from agent.wire.topics import Root, sha256
from deploy.adapters.packer_zstd import ZstandardPacker
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink

TOPICS = Root("shoal/test")
PIECES = tuple(random.Random(5).randbytes(2_000 + n) * (1 + n % 2) for n in range(40))
CONTENT = b"".join(PIECES)


def chunk_of(piece: bytes) -> Chunk:
    """Every second one travels packed."""
    frame = ZstandardPacker().pack(piece)
    packed = Packed(sha256(frame), len(frame)) if len(frame) < len(piece) else None
    return Chunk(sha256(piece), len(piece), packed)


ARTIFACT = Artifact(
    digest=sha256(CONTENT),
    length=len(CONTENT),
    chunks=tuple(map(chunk_of, PIECES)),
)
LINES_MAX = 30
PAUSE_MAX_S = 0.004
INDEX = {TOPICS.chunk(chunk.published): index for index, chunk in enumerate(ARTIFACT.chunks)}


class RunningClock(FakeClock):
    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class TellingLink(MemoryLink):
    """Tells of every message before the device can see it: that is what has crossed the line."""

    def __init__(self, broker: MemoryBroker, pipe: int) -> None:
        super().__init__(broker)
        self._pipe = pipe

    def receive(self, message: Message) -> None:
        os.write(self._pipe, b"delivered %d\n" % INDEX[message.topic])
        super().receive(message)


async def download(folder: Path, pipe: int) -> None:
    broker = MemoryBroker()
    for chunk, piece in zip(ARTIFACT.chunks, PIECES, strict=True):
        payload = piece if chunk.packed is None else ZstandardPacker().pack(piece)
        broker.publish(TOPICS.chunk(chunk.published), payload, retain=True)
    link = TellingLink(broker, pipe)
    connection = Connection(link)
    connection.open()
    store = FileStore(folder, 0)
    store.mark_running()
    os.write(pipe, b"marked 1\n")

    def on_progress(done_bytes: int, total_bytes: int) -> None:
        del total_bytes
        store.save(Record(plan_serial=done_bytes))
        os.write(pipe, b"saved %d\n" % done_bytes)

    await fetch(
        link, connection, TOPICS, store, (ARTIFACT,), RunningClock(), on_progress, packing=Zstandard()
    )
    os.write(pipe, b"assembled 1\n")
    await connection.close()


def live(folder: Path, lines: int, then_s: float) -> tuple[bool, list[tuple[str, int]]]:
    """One life of a device, killed that long after it has told so many things, unless it is done by then:
    whether it was killed, and what it told.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        asyncio.run(download(folder, writing))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = list(itertools.islice(pipe, lines))
        time.sleep(then_s)
        os.kill(child, signal.SIGKILL)
        told += pipe
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    if not killed and os.waitstatus_to_exitcode(status) != 0:
        raise AssertionError(f"the device failed by itself: {os.waitstatus_to_exitcode(status)}")
    said = (line.split() for line in told)
    return killed, [(word, int(number)) for word, number in said]


def judge(folder: Path, told: list[tuple[str, int]]) -> tuple[int, list[str]]:
    """How many chunks that were delivered in this life will cross the line again, and broken promises."""
    store = FileStore(folder, 0)
    missing = store.missing(ARTIFACT)
    said = dict(told)
    delivered = {number for word, number in told if word == "delivered"}
    broken = []
    if store.load().plan_serial < said.get("saved", -1):
        broken.append(f"the record of {said['saved']} was promised, {store.load().plan_serial} is there")
    if "assembled" in said and not store.verify(ARTIFACT.digest):
        broken.append("the artifact was promised")
    if "marked" in said and store.mark_running():
        broken.append("the marker was promised")
    partial = folder / "partial" / ARTIFACT.digest
    content = partial.read_bytes() if partial.exists() else CONTENT
    start = 0
    for index, piece in enumerate(PIECES):
        if index not in missing and content[start : start + len(piece)] != piece:
            broken.append(f"chunk {index} is claimed and is not there")
        start += len(piece)
    return len(delivered & set(missing)), broken


def main(folder: Path, kills: int, seed: int) -> None:
    rng = random.Random(seed)
    broken: list[str] = []
    lost: Counter[int] = Counter()
    device, killed = 0, 0
    while killed < kills:
        by_kill, told = live(folder / str(device), rng.randrange(LINES_MAX), rng.uniform(0.0, PAUSE_MAX_S))
        again, faults = judge(folder / str(device), told)
        killed += by_kill
        lost[again] += by_kill
        broken += faults
        if FileStore(folder / str(device), 0).verify(ARTIFACT.digest):
            device += 1
    print(json.dumps({"kills": killed, "devices": device, "lost": lost, "broken": broken}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
