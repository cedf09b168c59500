"""Devices that tell what a test wants them to, over a link of any kind."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from agent.core.update import cohort
from agent.ports.link import Link, Outgoing
from agent.wire import codec
from agent.wire.documents import Document, Plan, ReleaseRef
from agent.wire.reasons import Reason
from agent.wire.reports import Capabilities, Ended, Outcome, Phase, Presence, Report, Running, Status
from agent.wire.seal import seal
from agent.wire.topics import REPORT, STATUS, Channel, DeviceId, Root, sha256

SOME_FILE = sha256(b"a model")


@dataclass(slots=True)
class Puppets:
    link: Link
    root: Root
    now: datetime
    keys: dict[DeviceId, bytes] = field(default_factory=dict)
    boot: int = 1
    number: int = 0
    told: dict[DeviceId, Report] = field(default_factory=dict)

    def appear(self, devices: Iterable[DeviceId], hardware: str = "cpu") -> None:
        """Online, and without a plan."""
        for device in devices:
            self.says(device, Presence.ONLINE)
            capabilities = Capabilities(hardware=hardware, agent="1.0")
            self.report(Report(device=device, at=self.now, phase=Phase.IDLE, capabilities=capabilities))

    def says(self, device: DeviceId, state: Presence) -> None:
        self._lay_down(STATUS, device, Status(state=state, session="s", boot=self.boot))

    def follow(
        self, plan: Plan, failing: Collection[DeviceId] = (), silent: Collection[DeviceId] = ()
    ) -> None:
        """Every device does at once what the plan wants of it."""
        for device, before in tuple(self.told.items()):
            if device in silent:
                continue
            inside = plan.candidate is not None and cohort.belongs(
                plan.cut, before.capabilities.hardware, plan.salt, device
            )
            seen = replace(before, plan_serial=plan.serial)
            if inside and plan.candidate is not None:
                self.report(
                    _refused(seen, plan.candidate) if device in failing else _runs(seen, plan.candidate)
                )
            else:
                self.report(
                    _runs(seen, plan.stable) if plan.stable else replace(seen, active=None, last=None)
                )

    def report(self, report: Report) -> None:
        self.number += 1
        self.now += timedelta(milliseconds=1)
        report = replace(report, at=self.now, boot=self.boot, number=self.number)
        self.told[report.device] = report
        self._lay_down(REPORT, report.device, report)

    def _lay_down(self, channel: Channel, device: DeviceId, document: Document) -> None:
        topic, content = self.root.device(channel, device), codec.encode(document)
        if device in self.keys:
            content = seal(topic, content, self.keys[device])
        self.link.publish(Outgoing(topic, content, channel.qos, channel.retain)).result(10.0)


def _runs(report: Report, ref: ReleaseRef) -> Report:
    running = Running(
        name=ref.name, version=ref.version, manifest=ref.manifest, digest=SOME_FILE, delegate="cpu"
    )
    ended = Ended(name=ref.name, version=ref.version, manifest=ref.manifest, outcome=Outcome.COMMITTED)
    return replace(report, active=running, last=ended, phase=Phase.IDLE)


def _refused(report: Report, ref: ReleaseRef) -> Report:
    ended = Ended(
        name=ref.name,
        version=ref.version,
        manifest=ref.manifest,
        outcome=Outcome.REFUSED,
        reason=Reason.GOLDEN_MISMATCH,
    )
    return replace(report, last=ended, known_bad={ref.manifest: Reason.GOLDEN_MISMATCH}, phase=Phase.IDLE)
