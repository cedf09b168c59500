"""What a wave costs the controller and its broker, for fleets of 1 to 10,000 devices.

    python -m bench.controller [DEVICES...]

Real retained words of so many devices on a Mosquitto with its own defaults; a real repository, ledger and
desk. `read` is one reading of the whole fleet, `judge` one judgement of a wave, `turn` all that is done
where nothing has changed, `one report` the work for one that comes in between.
"""

import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Final

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import MqttLink
from agent.core.telemetry.latency import RELATIVE_ACCURACY
from agent.core.update import cohort
from agent.ports.link import Outgoing
from agent.wire import codec, topics
from agent.wire.documents import Plan, ReleaseRef
from agent.wire.reports import (
    BINS,
    Capabilities,
    Ended,
    Evidence,
    Histogram,
    Outcome,
    Phase,
    Presence,
    Report,
    Running,
    Status,
)
from agent.wire.topics import REPORT, STATUS, DeviceId
from deploy.assemble.controller.serving import Controller
from deploy.assemble.desk.controlling import Desk
from deploy.core.rollouts import gate
from tests.brokers import PlainMosquitto
from tests.fakes.controlled import Controlled
from tests.fakes.puppets import SOME_FILE

FLEETS: Final = (1, 100, 1_000, 10_000)
IN_FLIGHT: Final = 500


@dataclass(slots=True)
class Counted:
    """What goes out over a link."""

    messages: int = 0
    sizes: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    devices: int
    read: int
    read_s: float
    read_cpu_us: float
    judge_us: float
    turn_us: float
    news_us: float
    messages: int
    bytes: int


def main() -> None:
    fleets = [int(text) for text in sys.argv[1:]] or FLEETS
    print("A Mosquitto with its own defaults; microseconds of CPU for each device, one core\n")
    print("| devices | found | read, s | read | judge | turn | one report | wave: messages | bytes |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for devices in fleets:
        with tempfile.TemporaryDirectory() as folder:
            print(_said(measure(Path(folder), devices)), flush=True)


def _said(row: Row) -> str:
    costs = (row.read_cpu_us, row.judge_us, row.turn_us, row.news_us)
    figures = (
        f"{row.devices:,}",
        f"{row.read:,}",
        f"{row.read_s:.1f}",
        *(f"{cost:.0f}" for cost in costs),
        str(row.messages),
        f"{row.bytes:,}",
    )
    return f"| {' | '.join(figures)} |"


def measure(folder: Path, devices: int) -> Row:
    with PlainMosquitto(folder) as broker:
        fleet = Controlled(folder, clock=SystemClock(), root=topics.root("shoal/bench"), url=broker.url)
        ids = fleet.ids(devices)
        lay_down(fleet, ids, None)
        with fleet.desk() as desk:
            desk.assert_stands()
            fleet.start(desk, "25%", "100%")
            lay_down(fleet, ids, fleet.plan())
            began, cpu = time.monotonic(), time.process_time()
            desk.live().read()
            read_s, read_cpu = time.monotonic() - began, time.process_time() - cpu
            picture = desk.picture()
            rollout = desk.fleet().rollouts["r"]
            judge = _cpu(lambda: gate.judge(rollout, picture))
            news = _news(desk, fleet, ids)
            with counting() as counted:
                Controller(desk, Event()).turn()
            turn = _cpu(lambda: Controller(desk, Event(), _fenced_at=time.monotonic(), _connection=1).turn())
        each = 1e6 / devices
        return Row(
            devices, len(picture.devices), read_s, read_cpu * each, judge * each, turn * each, news * 1e6,
            counted.messages, sum(counted.sizes),
        )  # fmt: skip


def _cpu(act: Callable[[], object]) -> float:
    act()
    began = time.process_time()
    act()
    return time.process_time() - began


def _news(desk: Desk, fleet: Controlled, ids: Sequence[DeviceId]) -> float:
    """Seconds of CPU for one report that comes in between, of some hundred."""
    live, plan = desk.live(), fleet.plan()
    some = list(ids[:300])
    live.moved()
    began = time.process_time()
    for device in some:
        live.take(fleet.root.device(REPORT, device), codec.encode(report(device, plan, number=2)))
    return (time.process_time() - began) / len(some)


def lay_down(fleet: Controlled, ids: Sequence[DeviceId], plan: Plan | None) -> None:
    """Status and report of every device, as it follows the plan."""
    link, out = fleet.link(), deque[Future[None]]()
    status = codec.encode(Status(state=Presence.ONLINE, session="s", boot=1))
    try:
        for device in ids:
            told = codec.encode(report(device, plan, number=0 if plan is None else 1))
            for channel, content in ((STATUS, status), (REPORT, told)):
                topic = fleet.root.device(channel, device)
                out.append(link.publish(Outgoing(topic, content, channel.qos, channel.retain)))
            while len(out) > IN_FLIGHT:
                out.popleft().result(30.0)
        while out:
            out.popleft().result(30.0)
    finally:
        link.close()


def report(device: DeviceId, plan: Plan | None, number: int) -> Report:
    """Of a device that runs the candidate where the plan wants it, with the evidence that comes along."""
    ref = None if plan is None else plan.candidate if _inside(plan, device) else plan.stable
    return Report(
        device=device,
        at=datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=number),
        phase=Phase.IDLE,
        active=ref and Running(name=ref.name, version=ref.version, manifest=ref.manifest, digest=SOME_FILE),
        last=ref
        and Ended(name=ref.name, version=ref.version, manifest=ref.manifest, outcome=Outcome.COMMITTED),
        plan_serial=-1 if plan is None else plan.serial,
        capabilities=Capabilities(hardware="cpu", agent="1.0", tags=("line-3",)),
        serving=ref and evidence(ref),
        before=plan and plan.stable and evidence(plan.stable),
        boot=1,
        number=number,
    )


def _inside(plan: Plan, device: DeviceId) -> bool:
    return cohort.belongs(plan.cut, "cpu", plan.salt, device)


def evidence(ref: ReleaseRef) -> Evidence:
    bins = dict.fromkeys(range(150, 190), 10)
    histogram = Histogram(
        relative_accuracy=RELATIVE_ACCURACY, count=400, zeros=0, sum=8e3, min=18.0, max=25.0, bins=bins
    )
    return Evidence(
        manifest=ref.manifest,
        digest=SOME_FILE,
        frames=400,
        invoke_ms=histogram,
        confidence=tuple(range(BINS)),
        classes={f"label {number}": 40 for number in range(10)},
    )


@contextmanager
def counting() -> Iterator[Counted]:
    """Everything that is published meanwhile."""
    counted, publish = Counted(), MqttLink.publish

    def noted(link: MqttLink, outgoing: Outgoing) -> Future[None]:
        counted.messages += 1
        counted.sizes.append(len(outgoing.topic) + len(outgoing.payload))
        return publish(link, outgoing)

    MqttLink.publish = noted
    try:
        yield counted
    finally:
        MqttLink.publish = publish


if __name__ == "__main__":
    main()
