"""One simulated rollout: a broker, a fleet, the controller that steers every fleet, and what came of it."""

import dataclasses
import logging
import os
import resource
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec.structs import replace

from agent.core.broker_url import parse_url
from agent.wire.documents import ReleaseRef
from agent.wire.errors import ConfigError, PortError, Unavailable
from agent.wire.reports import Running
from agent.wire.topics import Digest
from deploy.assemble.controller.serving import Controller, Pace
from deploy.assemble.desk import controlling, publishing, workspaces
from deploy.assemble.desk.controlling import Desk
from deploy.core.rollouts import starting
from deploy.core.rollouts.approvals import Person
from deploy.core.rollouts.picture import Picture
from deploy.core.rollouts.starting import Asked, FilesOf
from deploy.core.rollouts.state import Fleet
from deploy.core.rollouts.words import (
    Aborted,
    AnyEntry,
    Enrolled,
    Line,
    Outcome,
    Policy,
    Steered,
)
from deploy.simulation import course, ground, outcome, scenario, telling
from deploy.simulation.crowd import Crowd, crowd, processes
from deploy.simulation.ground import Ground
from deploy.simulation.meter import Usage, usage
from deploy.simulation.outcome import Cost, Decision, Ran
from deploy.simulation.own_broker import OwnBroker
from deploy.simulation.scenario import Clock, Scenario
from deploy.simulation.telling import Begun, Finish, Post, Sample, Served

log = logging.getLogger(__name__)

SHM: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
WATCH_S: Final = 0.1
PACE: Final = Pace(turn_s=1.0, busy_s=0.25, fence_s=20.0, fresh_s=2.0, lag_s=30.0, retry_cap_s=1.0)
"""As short as the deadlines of the scenarios."""
UP_S: Final = 600.0
UP_EACH_S: Final = 0.03
"""What a device costs until it serves its first release, on the two cores that scenarios are written for."""
UP_GRACE_S: Final = 10.0
PROVEN_EVERY_S: Final = 0.5
SETTLE_S: Final = 60.0
SALTS: Final = 8
HANDLES_A_DEVICE: Final = 4
"""A socket and the books of two outboxes, and room."""
BY: Final = Person("simulation", "")

OnStage = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    scenario: Scenario
    devices: int
    seed: int
    broker: str | None = None
    """Its URL; None: one of our own."""


@dataclass(frozen=True, slots=True)
class Used:
    """What everything has cost until now."""

    sample: Sample
    controller_cpu_s: float
    broker: Usage


def run(request: Request, on_stage: OnStage) -> Ran:
    """
    Raises:
        ConfigError: there is no broker, or not enough file handles.
        PortError: something failed that is not part of the scenario.
    """
    _require_handles(request.devices)
    with ExitStack() as stack:
        folder = stack.enter_context(_folder())
        own = (
            None
            if request.broker
            else stack.enter_context(OwnBroker(folder / "broker", request.scenario.broker))
        )
        url = request.broker or (own.broker.url if own is not None else "")
        root = f"shoal/simulation-{secrets.token_hex(4)}"
        on_stage(f"{request.devices} devices, seed {request.seed}, scenario {request.scenario.name}, {url}")
        laid = ground.lay(folder / "fleet", url, root, request.scenario, request.seed, request.devices)
        publishing.publish_everything(laid.workspace, lambda *_: None)
        devices = stack.enter_context(crowd(_posts(request, laid, url, folder), folder))
        return _Run(request, laid, devices, own, on_stage).run()


@contextmanager
def _folder() -> Iterator[Path]:
    """In memory where that is to be had: a thousand devices have a card each, and this machine one disk."""
    within = SHM if os.access(SHM, os.W_OK) else None
    with TemporaryDirectory(prefix="shoal-simulation-", dir=within) as name:
        yield Path(name)


class _Run:
    def __init__(
        self, request: Request, laid: Ground, devices: Crowd, own: OwnBroker | None, on_stage: OnStage
    ) -> None:
        self._request, self._laid, self._devices = request, laid, devices
        self._own, self._on_stage = own, on_stage
        self._began_s = self._began_at_s = 0.0
        self._stretch = 1.0

    def run(self) -> Ran:
        expected = serving_at_first(self._request.scenario, self._request.devices)
        up_s = self._devices.wait(
            lambda sample: sample.on_stable >= expected, UP_S, "every device serves the first release"
        )
        self._stretch = stretch(up_s, expected)
        self._on_stage(f"{expected} devices serve {telling.STABLE} after {up_s:.1f} s")
        if self._stretch > 1.0:
            self._on_stage(f"this machine is slow at it now: deadlines are {self._stretch:.1f} times as long")
        with controlling.desk(self._laid.workspace) as desk:
            self._prove(desk, expected)
            self._devices.tell(Served())
            self._let_go()
            before = self._used()
            self._begin(desk)
            ended = self._steer(desk)
            rollout_s = self._settle(ended)
            cost = _cost(before, self._used())
            decisions = tuple(self._decisions(desk))
        self._devices.tell(Finish())
        return self._told(ended, up_s, rollout_s, cost, decisions)

    def _prove(self, desk: Desk, expected: int) -> None:
        """A release that is still on probation is none to measure another against.

        Raises:
            Unavailable: it took too long.
        """
        ends_s, stable, never = time.monotonic() + UP_S, self._laid.stable.manifest, threading.Event()
        while (
            proven := sum(ground.has_proven(seen.report, stable) for seen in desk.picture().devices)
        ) < expected:
            self._devices.check()
            if time.monotonic() > ends_s:
                raise Unavailable(
                    f"not within {UP_S:g} s: {expected} devices commit the first release, {proven} have"
                )
            desk.wait(PROVEN_EVERY_S, never)
            never.wait(PROVEN_EVERY_S)

    def _let_go(self) -> None:
        """Who is to be away from the beginning is known to the broker, and away."""
        leaving = away_at_first(self._request.scenario, self._request.devices)
        if leaving:
            staying = self._request.devices - leaving
            self._devices.wait(lambda sample: sample.there <= staying, UP_S, f"{leaving} devices leave")

    def _begin(self, desk: Desk) -> None:
        laid, told = self._laid, self._request.scenario.rollout
        files = files_of(laid)
        candidate = laid.candidate_ref
        asked = Asked(
            stream=laid.workspace.settings.fleet.stream,
            release=candidate,
            waves=told.waves,
            salts=tuple(f"{self._request.seed}/{number}" for number in range(SALTS)),
            match=told.match,
            policy=stretched(told.policy, self._stretch),
            bytes_each=laid.bytes_each,
        )

        def start(fleet: Fleet, picture: Picture) -> Sequence[AnyEntry]:
            standing = desk.standing(asked.stream)
            order = starting.prepare(fleet, picture, asked, standing, files)
            return starting.start(fleet, picture, order, standing, BY)

        self._began_s, self._began_at_s = self._devices.now_s, time.time()
        desk.decide(start)
        self._devices.tell(_begun(laid))
        self._on_stage(f"{candidate.name}@{candidate.version} is on its way in waves {', '.join(told.waves)}")

    def _steer(self, desk: Desk) -> Outcome | None:
        """What `shoal serve` does, until the rollout has ended or time is up.

        Raises:
            PortError: something failed that is not part of the scenario.
        """

        def outcome_of(fleet: Fleet) -> Outcome | None:
            return next(iter(fleet.rollouts.values())).outcome

        stop, faults = threading.Event(), list[PortError]()
        watch = threading.Thread(target=self._watch, args=(stop, faults))
        watch.start()
        try:
            pace = dataclasses.replace(PACE, lag_s=PACE.lag_s * self._stretch)
            Controller(desk, stop, self._line, pace).run(lambda fleet: outcome_of(fleet) is not None)
        finally:
            stop.set()
            watch.join()
        if faults:
            raise faults[0]
        return outcome_of(desk.fleet())

    def _watch(self, stop: threading.Event, faults: list[PortError]) -> None:
        """Do to the broker what the scenario says; end it all when time is up, or an agent has a fault."""
        told = self._request.scenario
        while not stop.wait(WATCH_S):
            since_s = self._devices.now_s - self._began_s
            try:
                self._devices.check()
                if self._own is not None:
                    self._own.follow(since_s)
            except PortError as error:
                faults.append(error)
                stop.set()
            if since_s > told.timeout_s * self._stretch:
                stop.set()

    def _line(self, line: Line) -> None:
        words = course.in_words(line.entry, self._request.scenario.rollout.waves)
        self._on_stage(f"{self._since(line.at.timestamp()):6.1f} s  {words}")

    def _settle(self, ended: Outcome | None) -> float:
        """Wait until the fleet is where the end of the rollout sends it; seconds from its start."""
        if ended is Outcome.REVERTED:
            with suppress(Unavailable):
                self._devices.wait(
                    lambda sample: sample.on_candidate == 0, SETTLE_S * self._stretch, "nobody runs it"
                )
        self._devices.mark()
        return self._devices.now_s - self._began_s

    def _since(self, at_s: float) -> float:
        return at_s - self._began_at_s

    def _used(self) -> Used:
        own = os.getpid()
        broker = Usage() if self._own is None else usage(self._own.broker.process.pid)
        return Used(self._devices.sample, usage(own).cpu_s, broker)

    def _decisions(self, desk: Desk) -> Iterator[Decision]:
        waves = self._request.scenario.rollout.waves
        for line in desk.ledger.lines():
            if not isinstance(line.entry, Enrolled):
                at_s = round(self._since(line.at.timestamp()), 2)
                entry = line.entry
                label = course.label(entry, waves) if isinstance(entry, Steered) else ""
                words = course.in_words(entry, waves)
                yield Decision(at_s=at_s, kind=type(entry).__name__, words=words, label=label)

    def _told(
        self,
        ended: Outcome | None,
        up_s: float,
        rollout_s: float,
        cost: Cost,
        decisions: tuple[Decision, ...],
    ) -> Ran:
        said = self._devices.ended()
        ends = tuple(device for each in said for device in each.devices)
        moments = tuple(course.moments(self._devices.timeline, self._began_s))
        aborted_s = next((d.at_s for d in decisions if d.kind == Aborted.__name__), None)
        return Ran(
            scenario=self._request.scenario.name,
            words=self._request.scenario.words,
            seed=self._request.seed,
            devices=self._request.devices,
            outcome=ended,
            exposed=sum(device.exposed for device in ends),
            fallen=sum(device.fate is not None for device in ends),
            up_s=round(up_s, 2),
            stretch=round(self._stretch, 2),
            rollout_s=round(rollout_s, 2),
            detect_s=outcome.between(moments, lambda moment: moment.fallen > 0, aborted_s),
            revert_s=outcome.after(moments, aborted_s, lambda moment: moment.on_candidate == 0),
            cost=replace(cost, devices_peak_bytes=sum(each.peak_bytes for each in said)),
            course=moments,
            decisions=decisions,
            ends=outcome.ends(ends),
            failures=tuple(outcome.failures(self._request.scenario, ended, ends)),
        )


def stretch(up_s: float, devices: int) -> float:
    """By how much deadlines are longer than the scenario says, because this machine has less time to give
    than it was written for: a device that had no processor must not pass for one that fell silent.
    """
    return max(1.0, (up_s - UP_GRACE_S) / (UP_EACH_S * devices))


def stretched(policy: Policy, times: float) -> Policy:
    gate = policy.gate
    return replace(policy, gate=replace(gate, deadline_s=gate.deadline_s * times, soak_s=gate.soak_s * times))


def serving_at_first(told: Scenario, devices: int) -> int:
    """So many know what time it is."""
    return sum(group.clock == Clock() for group in scenario.groups(told.fleet, devices))


def away_at_first(told: Scenario, devices: int) -> int:
    """So many have left when the rollout begins."""
    return sum(group.presence.leaves_at_s == 0.0 for group in scenario.groups(told.fleet, devices))


def files_of(laid: Ground) -> FilesOf:
    repository = workspaces.open_repository(laid.workspace)

    def found(ref: ReleaseRef) -> frozenset[Digest]:
        (manifest,) = publishing.manifests(repository, (ref,))
        return frozenset((ref.manifest, *(variant.artifact.digest for variant in manifest.variants)))

    return found


def _begun(laid: Ground) -> Begun:
    ref, variant = laid.candidate_ref, laid.candidate.variants[0]
    running = Running(
        name=ref.name, version=ref.version, manifest=ref.manifest, digest=variant.artifact.digest
    )
    return Begun(running=running)


def _posts(request: Request, laid: Ground, url: str, folder: Path) -> tuple[Post, ...]:
    address, count = parse_url(url), processes(request.devices)
    if address.tls:
        raise ConfigError(f"broker {url!r}: simulated devices speak plain MQTT, use mqtt://")
    edges = [request.devices * number // count for number in range(count + 1)]
    return tuple(
        Post(
            scenario=request.scenario,
            seed=request.seed,
            devices=request.devices,
            first=first,
            last=last,
            host=address.host,
            port=address.port,
            root=laid.workspace.settings.broker.root,
            trusted=str(laid.workspace.root_of_trust),
            folder=str(folder / "devices"),
            keys=str(laid.keys),
        )
        for first, last in pairwise(edges)
    )


def _cost(before: Used, after: Used) -> Cost:
    began, ended = before.sample, after.sample
    return Cost(
        device_received_bytes=ended.received_bytes - began.received_bytes,
        device_sent_bytes=ended.sent_bytes - began.sent_bytes,
        device_messages=ended.received_messages
        + ended.sent_messages
        - began.received_messages
        - began.sent_messages,
        devices_cpu_s=round(ended.cpu_s - began.cpu_s, 2),
        controller_cpu_s=round(after.controller_cpu_s - before.controller_cpu_s, 2),
        broker_cpu_s=round(max(0.0, after.broker.cpu_s - before.broker.cpu_s), 2),
        broker_peak_bytes=after.broker.peak_bytes,
        devices_peak_bytes=0,
    )


def _require_handles(devices: int) -> None:
    """
    Raises:
        ConfigError: this system does not allow as many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = devices * HANDLES_A_DEVICE // processes(devices) + 512
    wanted = max(needed, devices + 512)
    if wanted > hard:
        raise ConfigError(
            f"{devices} devices need {wanted} file handles, this system allows {hard}: raise ulimit -Hn"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
