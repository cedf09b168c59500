"""A fleet of any size on a real broker, with a rollout under way, and its page as a program of its own."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from agent.adapters.clock_system import SystemClock
from agent.core.page.access import Role
from agent.core.update import cohort
from agent.ports.link import Outgoing
from agent.wire import codec, topics
from agent.wire.documents import Document, Plan, ReleaseRef
from agent.wire.reasons import Reason
from agent.wire.reports import Capabilities, Ended, Outcome, Phase, Presence, Report, Running, Status
from agent.wire.topics import REPORT, STATUS, Channel, DeviceId
from deploy.adapters import approval_ed25519
from deploy.adapters import workspace as workspaces
from deploy.adapters.workspace import write_settings
from tests.brokers import PlainMosquitto
from tests.fakes import paged
from tests.fakes.controlled import Controlled
from tests.fakes.puppets import SOME_FILE

HALLS: Final = 4
FAILING: Final = 70
"""One in so many of those that were let in."""
AWAY: Final = 50
"""One in so many is offline."""
AT_ONCE: Final = 500
"""Messages on their way."""


@dataclass(slots=True)
class Orchard:
    controlled: Controlled
    broker: PlainMosquitto
    key: Path
    """Of an approver."""
    number: int = 0

    def begin(self, *waves: str) -> None:
        """A rollout of release 2, as far as its first wave."""
        with self.controlled.desk() as desk:
            self.controlled.start(desk, *waves)
            self.controlled.turn(desk)

    def appear(self, count: int) -> None:
        """Devices, most of them online, that have done what the signed plan wants, but for a few."""
        ids = [DeviceId(f"pi-{number}") for number in range(count)]
        now, stable = self.controlled.clock.now(), self.controlled.releases[0]
        self.lay_down(STATUS, {device: _status(number) for number, device in enumerate(ids)})
        settled = [_report(number, device, stable, now) for number, device in enumerate(ids)]
        plan = self.controlled.repository().plan("main")
        self.report(settled if plan is None else _followed(settled, plan))

    def obey(self, count: int, serial: int) -> None:
        """The devices do what the signed plan wants, once there is one so new."""
        ends = time.monotonic() + paged.WITHIN_S
        while (plan := self.controlled.repository().plan("main")) is None or plan.serial < serial:
            assert time.monotonic() < ends, plan
            time.sleep(0.05)
        self.appear(count)

    def upgrade(self, device: str) -> None:
        """It says that it runs release 2."""
        ref, number = self.controlled.releases[1], int(device.removeprefix("pi-"))
        now = self.controlled.clock.now()
        before = _report(number, DeviceId(device), self.controlled.releases[0], now)
        self.report([replace(before, active=_running(ref, before.capabilities.hardware))])

    def leave(self, count: int) -> None:
        """All of them but the first, at once."""
        gone = Status(state=Presence.OFFLINE, session="s", boot=1)
        self.lay_down(STATUS, {DeviceId(f"pi-{number}"): gone for number in range(1, count)})

    def says(self, device: str, detail: str) -> None:
        """It holds on less than was promised, and says this of why."""
        self.chatter([int(device.removeprefix("pi-"))], detail)

    def chatter(self, numbers: Iterable[int], detail: str) -> None:
        """As `says`, of the devices with these numbers."""
        now, stable = self.controlled.clock.now(), self.controlled.releases[0]
        before = [_report(number, DeviceId(f"pi-{number}"), stable, now) for number in numbers]
        held = {"phase": Phase.HELD, "reason": Reason.LOW_DISK, "detail": detail, "degraded": detail}
        self.report([replace(each, **held) for each in before])

    def report(self, reports: Iterable[Report]) -> None:
        self.number += 1
        told = {each.device: replace(each, number=self.number) for each in reports}
        self.lay_down(REPORT, told)

    def lay_down(self, channel: Channel, documents: Mapping[DeviceId, Document]) -> None:
        """Retained, many at once."""
        waiting = list[Future[None]]()
        for device, document in documents.items():
            topic = self.controlled.root.device(channel, device)
            content = Outgoing(topic, codec.encode(document), channel.qos, channel.retain)
            waiting.append(self.controlled.puppets.link.publish(content))
            if len(waiting) >= AT_ONCE:
                waiting.pop(0).result(30.0)
        for each in waiting:
            each.result(30.0)

    @contextlib.contextmanager
    def controller(self) -> Iterator[paged.Program]:
        log = self.controlled.folder / "serve.log"
        with paged.running(log, "serve", "--no-page", "--workspace", self.folder) as program:
            program.heard("serving home from")
            yield program

    @property
    def folder(self) -> str:
        return str(self.controlled.workspace.folder)


@contextlib.contextmanager
def planted(folder: Path, name: str) -> Iterator[Orchard]:
    with PlainMosquitto(folder) as broker:
        controlled = Controlled(
            folder, clock=SystemClock(), root=topics.root(f"shoal/{name}"), url=broker.url
        )
        try:
            yield _with_people(Orchard(controlled, broker, folder / "ava.pem"))
        finally:
            controlled.puppets.link.close()


def _with_people(orchard: Orchard) -> Orchard:
    workspace = orchard.controlled.workspace
    write_settings(workspace)
    key = approval_ed25519.create(orchard.key)
    with (workspace.folder / workspaces.FILE).open("a", encoding="utf-8") as file:
        file.write(f'\n[approval]\nkeys = ["{key}"]\n')
    paged.with_users(workspace, olga=Role.OPERATOR, vera=Role.VIEWER, ava=Role.APPROVER)
    return orchard


def _status(number: int) -> Status:
    state = Presence.OFFLINE if number % AWAY == AWAY - 1 else Presence.ONLINE
    return Status(state=state, session="s", boot=1)


def _report(number: int, device: DeviceId, stable: ReleaseRef, now: datetime) -> Report:
    hardware = "edgetpu" if number % 3 == 0 else "cpu"
    return Report(
        device=device,
        at=now - timedelta(seconds=number % 90),
        phase=Phase.IDLE,
        active=_running(stable, hardware),
        capabilities=Capabilities(
            hardware=hardware, agent="1.0", tags=(f"hall-{number % HALLS}", f"line-{number % 30}")
        ),
        boot=1,
    )


def _running(ref: ReleaseRef, delegate: str) -> Running:
    return Running(
        name=ref.name, version=ref.version, manifest=ref.manifest, digest=SOME_FILE, delegate=delegate
    )


def _followed(reports: Iterable[Report], plan: Plan) -> Iterator[Report]:
    release, let_in = plan.candidate, 0
    for each in reports:
        if release is None or not _belongs(plan, each):
            yield replace(each, plan_serial=plan.serial)
            continue
        let_in += 1
        yield _ended(each, plan, release, failing=let_in % FAILING == 0)


def _belongs(plan: Plan, report: Report) -> bool:
    return cohort.belongs(plan.cut, report.capabilities.hardware, plan.salt, report.device)


def _ended(before: Report, plan: Plan, ref: ReleaseRef, *, failing: bool) -> Report:
    ended = Ended(name=ref.name, version=ref.version, manifest=ref.manifest, outcome=Outcome.COMMITTED)
    seen = replace(before, plan_serial=plan.serial)
    if failing:
        refused = replace(ended, outcome=Outcome.REFUSED, reason=Reason.GOLDEN_MISMATCH)
        return replace(seen, last=refused, known_bad={ref.manifest: Reason.GOLDEN_MISMATCH})
    return replace(seen, last=ended, active=_running(ref, before.capabilities.hardware))
