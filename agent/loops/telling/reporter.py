"""What a pipeline tells about itself: report and events."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from agent.core.update.lifecycle import Fetching, Fitted, Idle, Probation, Record, State, Trial
from agent.loops.telling.post import Post
from agent.ports.clock import Clock
from agent.ports.link import Outgoing
from agent.ports.onlooker import Onlooker
from agent.wire import codec, topics
from agent.wire.commands import Looked
from agent.wire.documents import Document
from agent.wire.ipc import CameraTurned, Predicted, Serving
from agent.wire.reasons import Reason
from agent.wire.reports import (
    RETOLD_SETTLED_S,
    RETOLD_UNDER_WAY_S,
    CameraReport,
    CameraState,
    Capabilities,
    Ended,
    Event,
    Evidence,
    Phase,
    Prediction,
    Progress,
    Report,
    Running,
    Telemetry,
)
from agent.wire.topics import Channel, DeviceId, Digest, Root

log = logging.getLogger(__name__)

PROGRESS_STEP_BYTES = 1_048_576
KNOWN_BAD_TOLD = 32
SAID_BY_SOMEBODY = frozenset({Reason.UNACCEPTED, Reason.PAUSED, Reason.VETO})
"""Reasons that name a release, a rollout, or what somebody wrote."""
WORDS_MAX_CHARS = 1_000
"""A runtime may give its reasons at length, and nobody accepts a document beyond its bound."""


@dataclass(frozen=True, slots=True)
class Identity:
    root: Root
    device: DeviceId
    pipeline: str
    capabilities: Capabilities
    stream: str = "main"


class Reporter:
    """Keeps the newest report and publishes it whenever it says something new."""

    def __init__(self, post: Post, clock: Clock, identity: Identity) -> None:
        self._post, self._clock, self._identity = post, clock, identity
        self._held: tuple[Reason, str] | None = None
        self._serving: Serving | None = None
        self._record = Record()
        self._following = False
        self._told_bytes = 0
        self._number = 0
        self._camera_ill_ns = 0
        self._published_ns = 0
        self._evidence: Callable[[], Evidence | None] = lambda: None
        self._onlookers: tuple[Onlooker, ...] = ()
        self._report = Report(
            device=identity.device,
            pipeline=identity.pipeline,
            stream=identity.stream,
            at=clock.now(),
            phase=Phase.IDLE,
            capabilities=identity.capabilities,
        )

    @property
    def told(self) -> Report | None:
        """What stands in the report now; None until it is known what this device is to run."""
        return self._report if self._following else None

    @property
    def hardware(self) -> str:
        return self._identity.capabilities.hardware

    def show(self, evidence: Callable[[], Evidence | None]) -> None:
        """Where to ask what the active release has shown."""
        self._evidence = evidence

    def watch(self, onlooker: Onlooker) -> Callable[[], None]:
        """It is told what the broker is told, and every frame, until the function returned here is called."""
        self._onlookers = (*self._onlookers, onlooker)

        def unwatch() -> None:
            self._onlookers = tuple(each for each in self._onlookers if each is not onlooker)

        return unwatch

    @property
    def report(self) -> Report:
        """As it stands, with the evidence of this moment."""
        return replace(
            self._report,
            serving=self._evidence(),
            before=self._before(),
            boot=self._post.signet.boot,
            number=self._number,
        )

    def saw(self, seen: Predicted, release: Fitted) -> None:
        """A frame was classified, with this release."""
        if self._onlookers:
            delegate = self.delegate(release.manifest)
            for onlooker in self._onlookers:
                onlooker.saw(seen, release.name, release.version, delegate)

    def measured(self, telemetry: Telemetry) -> None:
        """A window has ended."""
        self.send(topics.TELEMETRY, telemetry)
        for onlooker in self._onlookers:
            onlooker.measured(telemetry)

    async def run(self) -> None:
        """Tell the report anew, until cancelled: whoever waits for evidence sees how it grows, and whoever
        waits for a sign of life has one where the broker never spoke the last will.
        """
        while True:
            await asyncio.sleep(RETOLD_UNDER_WAY_S)
            self.tell_again()

    def tell_again(self) -> None:
        """If it was not told for as long as it may be silent."""
        silent_s = (self._clock.monotonic_ns() - self._published_ns) / 1e9
        if self.told is not None and (self._under_way or silent_s >= RETOLD_SETTLED_S):
            self._report = replace(self._report, at=self._clock.now())
            self._publish()

    @property
    def _under_way(self) -> bool:
        return not isinstance(self._record.state, Idle)

    def connected(self) -> None:
        self._publish()

    def follow(self, record: Record) -> None:
        self._record, self._following = record, True
        self._renew()

    def hold(self, reason: Reason, detail: str) -> None:
        self._held = (reason, _short(detail))
        self._renew()

    def release_hold(self, reason: Reason | None = None) -> None:
        """Whatever holds, or only if it is this reason."""
        if self._held is not None and reason in {None, self._held[0]}:
            self._held = None
            self._renew()

    def serving(self, serving: Serving) -> None:
        self._serving = serving
        self._renew()
        self.event(
            "model.serving",
            {
                "manifest": serving.manifest,
                "digest": serving.digest,
                "delegate": serving.delegate,
                "load_ms": round(serving.load_ms, 1),
                "gap_ms": round(serving.gap_ms, 1),
            },
        )

    def camera(self, turned: CameraTurned) -> None:
        """Once when it goes, once when it is back; that a fresh worker opens it is no news."""
        told = self._report.camera
        if told is not None and turned.state is CameraState.OPENING:
            return
        fresh = CameraReport(state=turned.state, kind=turned.kind, detail=_short(turned.detail))
        if fresh != told:
            self._report = replace(self._report, at=self._clock.now(), camera=fresh)
            self._publish()
        before = CameraState.OPENING if told is None else told.state
        if fresh.state is not before:
            self._camera_event(before, fresh)

    def _camera_event(self, before: CameraState, now: CameraReport) -> None:
        fields: dict[str, str | int | float] = {"kind": now.kind, "detail": now.detail}
        if now.state is not CameraState.LIVE:
            self._camera_ill_ns = self._camera_ill_ns or self._clock.monotonic_ns()
            log.warning("camera.%s", now.state, extra=fields)
            self.event(f"camera.{now.state}", fields)
            return
        log.info("camera.live", extra=fields)
        if before is not CameraState.OPENING:
            away_s = (self._clock.monotonic_ns() - self._camera_ill_ns) / 1e9
            self.event("camera.back", {"kind": now.kind, "away_s": round(away_s, 1)})
        self._camera_ill_ns = 0

    def pause(self, *, paused: bool) -> None:
        if paused != self._report.paused:
            self._report = replace(self._report, at=self._clock.now(), paused=paused)
            self.event("pipeline.paused" if paused else "pipeline.resumed", {})
            self._publish()

    def degrade(self, words: str) -> None:
        """Why less serves than the release promises; empty: it does not."""
        if _short(words) != self._report.degraded:
            self._report = replace(self._report, at=self._clock.now(), degraded=_short(words))
            self._publish()

    def equip(self, capabilities: Capabilities) -> None:
        """The hardware has changed."""
        self._report = replace(self._report, at=self._clock.now(), capabilities=capabilities)
        self._publish()

    def looked(self) -> Looked:
        """What serves, and why, and on what hardware."""
        active = self._report.active
        return Looked(
            delegate="" if active is None else active.delegate,
            delegate_reason="" if active is None else active.delegate_reason,
            capabilities=self._report.capabilities,
        )

    def crashed(self, restarts: int, detail: str) -> None:
        self._report = replace(self._report, at=self._clock.now(), worker_restarts=restarts)
        self.event("worker.crashed", {"restarts": restarts, "detail": detail})
        self._publish()

    def announce(self, ended: Ended) -> None:
        self.event(
            "update.ended",
            {
                "name": ended.name,
                "version": ended.version,
                "outcome": ended.outcome,
                "reason": ended.reason or "",
                "detail": ended.detail,
            },
        )
        for onlooker in self._onlookers:
            onlooker.ended(ended)

    def progress(self, done_bytes: int, total_bytes: int) -> None:
        """Told at every mebibyte and at the end: a report is retained, and a broker may keep it on a card."""
        if done_bytes != total_bytes and done_bytes - self._told_bytes < PROGRESS_STEP_BYTES:
            return
        self._told_bytes = done_bytes
        candidate = self._report.candidate
        if candidate is not None:
            told = replace(candidate, bytes_done=done_bytes, bytes_total=total_bytes)
            self._report = replace(self._report, at=self._clock.now(), candidate=told)
            self._publish()

    def event(self, name: str, fields: dict[str, str | int | float]) -> None:
        short = {key: _short(value) if isinstance(value, str) else value for key, value in fields.items()}
        post = self._post
        event = Event(
            at=self._clock.now(), name=name, fields=short, session=post.session, number=post.number()
        )
        post.keep(topics.EVENT, self._addressed(topics.EVENT, event))
        for onlooker in self._onlookers:
            onlooker.happened(event)

    def predict(self, prediction: Prediction) -> None:
        """Now; and where predictions are kept, once more in their order, if others still wait before it."""
        post = self._post
        if not post.keeps(topics.PREDICTION):
            self.send(topics.PREDICTION, prediction)
            return
        if post.behind(topics.PREDICTION):
            self.send(topics.PREDICTION, prediction)
        numbered = replace(prediction, session=post.session, number=post.number())
        post.keep(topics.PREDICTION, self._addressed(topics.PREDICTION, numbered))

    def send(self, channel: Channel, document: Document) -> None:
        self._post.send(self._addressed(channel, document))

    def _addressed(self, channel: Channel, document: Document) -> Outgoing:
        identity = self._identity
        topic = identity.root.device(channel, identity.device, identity.pipeline)
        return Outgoing(topic, codec.encode(document), channel.qos, channel.retain)

    def _renew(self) -> None:
        """Other words for the same reason are no news, unless they are somebody's: they may hold a clock, or
        how many bytes are free.
        """
        fresh, told = self._compose(), self._report
        self._report = fresh
        detail = fresh.detail if fresh.reason in SAID_BY_SOMEBODY else told.detail
        if replace(fresh, at=told.at, detail=detail) != told:
            self._publish()

    def _compose(self) -> Report:
        state, last, held = self._record.state, self._record.last, self._held
        return replace(
            self._report,
            at=self._clock.now(),
            phase=_phase(state, None if held is None else held[0]),
            reason=None if held is None else held[0],
            detail="" if held is None else held[1],
            active=None if state.active is None else self._running(state.active),
            candidate=self._candidate(),
            last=None if last is None else replace(last, detail=_short(last.detail)),
            plan_serial=self._record.plan_serial,
            known_bad=_failures(self._record),
        )

    def _candidate(self) -> Progress | None:
        """What is on its way in; another release begins at nothing."""
        state, told = self._record.state, self._report.candidate
        if not isinstance(state, Fetching | Trial):
            return None
        release = state.candidate
        if told is not None and told.manifest == release.manifest:
            return told
        self._told_bytes = 0
        return Progress(name=release.name, version=release.version, manifest=release.manifest)

    def _running(self, release: Fitted) -> Running:
        serving = self._serving
        running = Running(
            name=release.name, version=release.version, manifest=release.manifest, digest=release.variant
        )
        if serving is None or serving.manifest != release.manifest:
            return running
        return replace(
            running,
            digest=serving.digest,
            delegate=serving.delegate,
            delegate_reason=_short(serving.delegate_reason),
            runtime=serving.runtime,
        )

    def digest(self, release: Fitted) -> Digest:
        """Which variant of this release computes: the one that was chosen, or what stands in for it."""
        serving = self._serving
        known = serving is not None and serving.manifest == release.manifest
        return serving.digest if serving is not None and known else release.variant

    def delegate(self, manifest: Digest) -> str:
        """What computes this release in the worker, as far as it has said so."""
        serving = self._serving
        return serving.delegate if serving is not None and serving.manifest == manifest else ""

    def _publish(self) -> None:
        """The report that stands, numbered, so that nobody can lay an older one over it."""
        self._number += 1
        self._published_ns = self._clock.monotonic_ns()
        signet, channel = self._post.signet, topics.REPORT
        report = self.report
        topic = self._identity.root.device(channel, self._identity.device, self._identity.pipeline)
        self._post.send(Outgoing(topic, signet.pressed(topic, report), channel.qos, channel.retain))
        for onlooker in self._onlookers:
            onlooker.told(report)

    def _before(self) -> Evidence | None:
        active, handover = self._record.state.active, self._record.handover
        ours = handover is not None and active is not None and handover.manifest == active.manifest
        return handover.before if ours and handover is not None else None


def _short(words: str) -> str:
    return words if len(words) <= WORDS_MAX_CHARS else f"{words[: WORDS_MAX_CHARS - 1]}…"


def _failures(record: Record) -> dict[str, Reason]:
    """The newest failures here. What was revoked stands in the plan, and could fill a report by itself."""
    failed = [bad for bad in record.known_bad if bad.reason is not Reason.REVOKED]
    return {bad.digest: bad.reason for bad in failed[-KNOWN_BAD_TOLD:]}


def _phase(state: State, held: Reason | None) -> Phase:
    match state:
        case Idle():
            return Phase.IDLE if held is None else Phase.HELD
        case Fetching():
            return Phase.HELD if held is Reason.LOW_DISK else Phase.FETCHING
        case Trial():
            return Phase.TRIAL
        case Probation():
            return Phase.PROBATION
