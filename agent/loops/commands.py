"""Obeys what the operator signed: verified, judged, remembered on disk, done, answered.

What nobody signed costs a look at its signature and, at most once a minute, a line in the log: no answer, no
work. A signed command that is refused is answered with the reason, as long as refusals are few.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.core import commands
from agent.core.commands import Allowance, Judge, Memory
from agent.loops.telling.post import Post
from agent.ports.clock import Clock
from agent.ports.hands import Hands, Machine
from agent.ports.link import Link, Message, Outgoing
from agent.ports.memory import CommandMemory
from agent.ports.trust import Signed, Trust
from agent.wire import codec, topics
from agent.wire.commands import (
    ENVELOPE_MAX_BYTES,
    IN_WORDS,
    Answer,
    Check,
    Command,
    Frame,
    FrameSent,
    Log,
    Look,
    Paced,
    Pause,
    Refusal,
    Result,
    Resume,
)
from agent.wire.errors import AgentError, StoreFailed, Unavailable, WireError
from agent.wire.topics import DeviceId, Root, sha256

log = logging.getLogger(__name__)

WAITING_MAX: Final = 16
"""Commands that wait to be looked at; beyond it they are noise."""
NOISE_S: Final = 60.0
"""Between two lines about what was not signed."""
FIRST_KEYS_S: Final = 10.0
"""How long a command may wait for the device to have read its metadata after a start."""
POLL_S: Final = 0.25
DETAIL_MAX_CHARS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom commands are for, and what can be done."""

    device: DeviceId
    root: Root
    hands: Mapping[str, Hands]
    """By the name of the pipeline."""
    machine: Machine


class Commands:
    """Everything but the link's callback runs on one event loop."""

    def __init__(
        self,
        *,
        link: Link,
        post: Post,
        trust: Trust,
        memory: CommandMemory,
        clock: Clock,
        reach: Reach,
        per_minute: int,
    ) -> None:
        self._link, self._post, self._trust, self._clock = link, post, trust, clock
        self._disk, self._reach = memory, reach
        self._memory: Memory | None = None
        self._topic = reach.root.device(topics.COMMAND, reach.device)
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue(WAITING_MAX)
        self._accepted, self._refused = Allowance(per_minute), Allowance(per_minute)
        self._at_work: dict[tuple[str, type], str] = {}
        self._noise = _Noise()
        self._heeds = False

    def allow(self, per_minute: int) -> None:
        """From now on so many."""
        self._accepted.per_minute = self._refused.per_minute = per_minute

    def listen(self) -> None:
        """Take commands from now on; call it on the running loop."""
        loop = asyncio.get_running_loop()
        self._heeds = True

        def take(message: Message) -> None:
            # The link's thread may outlive the loop by a moment when everything ends.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._take, message.payload)

        self._link.subscribe([self._topic], topics.COMMAND.qos, take)

    def deafen(self) -> None:
        """Nothing is obeyed any more, whatever has arrived, and no frame leaves that was asked for."""
        self._heeds = False
        self._link.unsubscribe([self._topic])

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._consider(await self._arrived.get(), group)

    def _take(self, content: bytes) -> None:
        if len(content) > ENVELOPE_MAX_BYTES:
            self._noise.note(f"a command of {len(content)} bytes, at most {ENVELOPE_MAX_BYTES} are accepted")
            return
        try:
            self._arrived.put_nowait(content)
        except asyncio.QueueFull:
            self._noise.note(f"more than {WAITING_MAX} commands at once")

    async def _consider(self, content: bytes, group: asyncio.TaskGroup) -> None:
        signed = await self._signed(content)
        if signed is None or not self._heeds:
            return
        try:
            command = codec.decode(signed.payload, Command)
        except WireError as error:
            self._refuse(None, Refusal.UNREADABLE, str(error))
            return
        if command.id in self._at_work.values():
            return  # delivered twice, and the answer is on its way
        refused = await self._judged(command, signed)
        if refused is not None:
            self._refuse(command, refused.reason, refused.detail)
            return
        log.info("command.accepted", extra=_fields(command))
        self._at_work[_kind(command)] = command.id
        group.create_task(self._obey(command), name=f"command {command.id}")

    async def _signed(self, content: bytes) -> Signed | None:
        """None if nobody signed it who may, which is not worth an answer."""
        for _ in range(round(FIRST_KEYS_S / POLL_S)):
            try:
                return self._trust.command(content)
            except Unavailable:
                await asyncio.sleep(POLL_S)
            except WireError as error:
                self._noise.note(str(error))
                return None
        self._noise.note("no metadata was verified yet, so nobody can be trusted to command")
        return None

    async def _judged(self, command: Command, signed: Signed) -> commands.Refused | None:
        """None once the command may be obeyed, and is remembered on disk."""
        memory = self._memory or await self._remembered()
        judge = Judge(
            device=self._reach.device,
            pipelines=frozenset(self._reach.hands),
            now=self._clock.now(),
            clock_trusted=self._clock.synchronized(),
            stale=signed.stale,
        )
        verdict = commands.admit(command, memory, judge)
        if isinstance(verdict, commands.Refused):
            return verdict
        if _kind(command) in self._at_work:
            return commands.Refused(Refusal.BUSY)
        if not self._accepted.take(self._clock.monotonic_ns() / 1e9):
            return commands.Refused(Refusal.TOO_MANY, f"{self._accepted.per_minute} a minute")
        try:
            await asyncio.to_thread(self._disk.save, verdict)
        except StoreFailed as error:
            return commands.Refused(Refusal.STORE_FAILED, str(error))
        self._memory = verdict
        return None

    async def _remembered(self) -> Memory:
        memory = await asyncio.to_thread(self._disk.load)
        if memory is None:
            memory = commands.lost(self._clock.now())
            log.error("commands.forgotten", extra={"closed_until": str(memory.closed_until)})
        self._memory = memory
        return memory

    async def _obey(self, command: Command) -> None:
        try:
            result = await self._done(command)
        except AgentError as error:
            self._answer(command, refused=Refusal.FAILED, detail=str(error))
        else:
            self._answer(command, result=result)
        finally:
            del self._at_work[_kind(command)]

    async def _done(self, command: Command) -> Result:
        hands, machine = self._reach.hands[command.pipeline], self._reach.machine
        match command.action:
            case Frame() as wanted:
                return await self._frame(hands, wanted, command.pipeline)
            case Log(lines=lines):
                return await asyncio.to_thread(machine.log, lines)
            case Check():
                return await machine.check()
            case Look():
                return await hands.look()
            case Pause() | Resume() as action:
                paused = isinstance(action, Pause)
                hands.pause(paused=paused)
                return Paced(paused=paused)

    async def _frame(self, hands: Hands, wanted: Frame, pipeline: str) -> FrameSent:
        taken = await hands.frame(wanted)
        if not self._heeds:
            raise Unavailable("commands were switched off meanwhile, so no frame was published")
        channel = topics.FRAME
        topic = self._reach.root.device(channel, self._reach.device, pipeline)
        self._post.send(Outgoing(topic, taken.jpeg, channel.qos, channel.retain))
        return FrameSent(
            digest=sha256(taken.jpeg),
            length=len(taken.jpeg),
            height_px=taken.height_px,
            width_px=taken.width_px,
            sequence=taken.sequence,
            captured_at=taken.captured_at,
        )

    def _refuse(self, command: Command | None, reason: Refusal, detail: str) -> None:
        if self._refused.take(self._clock.monotonic_ns() / 1e9):
            self._answer(command, refused=reason, detail=detail)
        else:
            self._noise.note(f"{reason}: {detail}")

    def _answer(
        self,
        command: Command | None,
        *,
        refused: Refusal | None = None,
        detail: str = "",
        result: Result | None = None,
    ) -> None:
        fields = {} if command is None else _fields(command)
        if refused is None:
            log.info("command.done", extra=fields)
        else:
            log.warning("command.refused", extra={**fields, "reason": refused, "detail": detail})
            detail = f"{IN_WORDS[refused]}{f' ({detail})' if detail else ''}"[:DETAIL_MAX_CHARS]
        answer = Answer(
            id=None if command is None else command.id,
            at=self._clock.now(),
            pipeline=topics.MAIN if command is None else command.pipeline,
            refused=refused,
            detail=detail,
            result=result,
        )
        channel = topics.ANSWER
        topic = self._reach.root.device(channel, self._reach.device)
        self._post.send(Outgoing(topic, codec.encode(answer), channel.qos, channel.retain))


class _Noise:
    """What is not worth an answer: counted, and told once in a while."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._since = 0

    def note(self, why: str) -> None:
        now_s = asyncio.get_running_loop().time()
        self._since += 1
        if self._last_s is None or now_s - self._last_s >= NOISE_S:
            log.warning("command.ignored", extra={"why": why, "messages": self._since})
            self._last_s, self._since = now_s, 0


def _kind(command: Command) -> tuple[str, type]:
    return command.pipeline, type(command.action)


def _fields(command: Command) -> dict[str, str]:
    action = type(command.action).__name__.lower()
    return {"command": command.id, "action": action, "of_pipeline": command.pipeline}
