"""What is said while the broker is away, or right before a kill: real processes, a real broker."""

import itertools
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from agent.adapters.clock_system import SystemClock
from agent.wire import topics
from tests import models
from tests.rig import REPOSITORY, Agent, fleet
from tests.scenario.chatter import DEVICE
from tests.scenario.outage import (
    Outage,
    crash_worker,
    events,
    judge,
    kept_after,
    logged,
    reading,
    said_on,
    without_repeats,
)

ROOT = topics.root("shoal/outage")
TOPIC = ROOT.device(topics.EVENT, DEVICE)
KEEPING = "[outbox]\npredictions = true\ndrain_per_s = 500\n"
FOREVER = 1_000_000_000


class Chatter:
    """The program `chatter` as a process; `said` are the numbers that it has put."""

    def __init__(self, folder: Path, outage: Outage, *numbers: float) -> None:
        program = [sys.executable, "-m", "tests.scenario.chatter", str(folder), outage.url, ROOT.prefix]
        self._process = subprocess.Popen(
            [*program, *(f"{number:g}" if number < FOREVER else str(number) for number in numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )

    def read(self, lines: int) -> list[str]:
        assert self._process.stdout is not None
        return list(itertools.islice((line.strip() for line in self._process.stdout), lines))

    def wait_empty(self) -> None:
        assert self._process.stdout is not None
        assert any(line.strip() == "empty" for line in self._process.stdout), (
            "it ended before all had arrived"
        )

    def kill(self) -> list[str]:
        """What it had still said."""
        assert self._process.stdout is not None
        self._process.kill()
        rest = self._process.stdout.read().split()
        self._end()
        return rest

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(10.0) == 0
        self._end()

    def _end(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()


@pytest.fixture
def outage(tmp_path: Path) -> Iterator[Outage]:
    with Outage(tmp_path / "broker") as outage:
        yield outage


def test_events_outlive_kills_before_in_and_after_an_outage_and_arrive_in_order(outage, tmp_path) -> None:
    chance = random.Random(3)
    said, kills = 0, 0

    def round_of(outbox_kills: int) -> int:
        nonlocal said
        for _ in range(outbox_kills):
            with Chatter(tmp_path, outage, said, FOREVER, 300) as chatter:
                numbers = [*chatter.read(chance.randrange(20, 120)), *chatter.kill()]
                said = int(numbers[-1]) + 1
        return outbox_kills

    with reading(outage.broker, TOPIC) as heard_before:
        kills += round_of(2)
    before = heard_before.items
    outage.begin()
    kills += round_of(3)
    outage.end()
    with reading(outage.broker, TOPIC) as heard_after:
        outage.mend()
        kills += round_of(2)
        with Chatter(tmp_path, outage, said, 50, 300) as chatter:
            chatter.wait_empty()
            chatter.stop()
        said += 50
        after = heard_after.wait_until(lambda seen: events(seen[-1:])[0].fields["n"] == said - 1)
        heard_after.clear()
        with Chatter(tmp_path, outage, said, 0, 1) as chatter:
            chatter.wait_empty()
            chatter.stop()
        assert heard_after.items == [], "nothing that has arrived is sent again after a clean stop"
    fresh = [int(event.fields["n"]) for event in without_repeats(events([*before, *after]))]
    # A process that was killed between keeping a number and printing it has the next one say it again.
    assert [number for number, _ in itertools.groupby(fresh)] == list(range(said))
    repeats = len(before) + len(after) - len(fresh)
    assert repeats <= 20 * kills, f"{repeats} repeats in {kills} kills"


def test_above_the_room_the_oldest_are_dropped_and_told_exactly(outage, tmp_path) -> None:
    count, max_mib = 8_000, 1
    outage.line.refuse = True
    with Chatter(tmp_path, outage, 0, count, 1e6, max_mib) as chatter:
        assert chatter.read(count)[-1] == str(count - 1)
        chatter.kill()
    waiting_bytes = sum(path.stat().st_size for path in (tmp_path / "outbox/events").glob("*.log"))
    assert waiting_bytes <= max_mib * 1_048_576
    with reading(outage.broker, TOPIC) as heard:
        outage.mend()
        with Chatter(tmp_path, outage, count, 0, 1, max_mib, 10_000) as chatter:
            chatter.wait_empty()
            chatter.stop()
        got = without_repeats(events(heard.wait_until(lambda seen: len(seen) > 100 and _is(seen, count - 1))))
    notice, *rest = got
    assert (notice.name, notice.fields["lane"]) == ("outbox.dropped", "events")
    assert [event.fields["n"] for event in rest] == list(range(count - len(rest), count))
    assert notice.fields["count"] == notice.fields["total"] == count - len(rest) > 0


def test_a_whole_device_keeps_events_and_predictions_through_an_outage_and_a_kill(outage, tmp_path) -> None:
    made = fleet(tmp_path, outage.broker.url)
    made.release(models.shared(models.TINY), "1")
    made.roll_out("1")
    said = said_on(made)
    with Agent(tmp_path, made, url=outage.url, more=KEEPING) as agent:
        with reading(outage.broker, *said) as before:
            before.wait_until(lambda seen: sum(message.topic == said[1] for message in seen) > 20, 60.0)
            outage.cut()
        outage.begin()
        logged(agent, "link.down", 1)
        crash_worker(agent, 1)
        agent.kill()
        agent.start()
        logged(agent, "model.serving", 2)
        crash_worker(agent, 2)
        outage.end()
        with reading(outage.broker, *said) as after:
            outage.mend()
            mended_at = SystemClock().now()
            after.wait_until(lambda seen: kept_after(seen[-1], said[1], mended_at), 60.0)
            assert agent.stop() == 0
    judged = judge(made, [*before.items, *after.items])
    assert (len(judged.sessions), judged.names.count("worker.crashed"), judged.missing) == (2, 2, 0)
    assert judged.in_order


def _is(seen, number: int) -> bool:
    return events(seen[-1:])[0].fields.get("n") == number
