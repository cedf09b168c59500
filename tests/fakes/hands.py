"""Hands that note what they were asked, and a memory without a disk."""

import asyncio
from datetime import UTC, datetime

from agent.core.commands import Memory
from agent.ports.trust import Signed
from agent.wire.commands import Checked, Frame, Lines, Looked
from agent.wire.errors import AgentError, StoreFailed
from agent.wire.ipc import Snapped

JPEG = b"\xff\xd8 not quite a picture"


class ScriptedHands:
    """Of a pipeline; `fault` is raised where something is to fail, `open` cleared keeps `look` and `frame`
    waiting.
    """

    def __init__(self) -> None:
        self.paused: list[bool] = []
        self.fault: AgentError | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def frame(self, wanted: Frame) -> Snapped:
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        return Snapped(
            jpeg=JPEG,
            height_px=wanted.side_px,
            width_px=wanted.side_px,
            sequence=3,
            captured_at=datetime(2026, 6, 1, tzinfo=UTC),
        )

    async def look(self) -> Looked:
        await self.open.wait()
        return Looked(delegate="cpu", delegate_reason="there is no other")

    def pause(self, *, paused: bool) -> None:
        self.paused.append(paused)


class ScriptedMachine:
    def log(self, lines: int) -> Lines:
        return Lines(lines=tuple(f"line {number}" for number in range(lines)))

    async def check(self) -> Checked:
        return Checked(status=0, findings=())


class MemoryOnly:
    """Keeps what was saved; refuses to while `full`."""

    def __init__(self, memory: Memory | None = Memory()) -> None:  # noqa: B008 - it is frozen
        self.memory = memory
        self.full = False

    def load(self) -> Memory | None:
        return self.memory

    def save(self, memory: Memory) -> None:
        if self.full:
            raise StoreFailed("no space left on device")
        self.memory = memory


class CommandTrust:
    """Takes the payload for the envelope: as if everybody had signed, but for what `fault` says."""

    def __init__(self) -> None:
        self.stale = ""
        self.fault: AgentError | None = None

    def command(self, envelope: bytes) -> Signed:
        if self.fault is not None:
            raise self.fault
        return Signed(envelope, self.stale)
