"""What signed commands have done on this device."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import msgspec

from agent.adapters.memory_file import MemoryFile
from agent.assemble.logs import Ring
from agent.assemble.pipeline import Pipeline, Shared
from agent.config import Settings, pipelines
from agent.loops.commands import Commands, Reach
from agent.loops.telling.pacer import Pacer
from agent.loops.telling.reporter import Reporter
from agent.ports.children import Worker
from agent.wire.commands import FRAME_MAX_BYTES, Checked, Finding, Frame, Lines, Looked
from agent.wire.errors import CameraFailed, Unavailable
from agent.wire.ipc import Snap, SnapFailed, Snapped

SNAP_S: Final = 5.0
CHECK_S: Final = 240.0
"""Half a minute on a free Pi 4; one with two cameras, at work on one slow core, needs minutes."""
FINDINGS_MAX_BYTES: Final = 1_048_576
FINDINGS_MAX: Final = 200


class PipelineHands:
    """See `agent.ports.hands.Hands`."""

    def __init__(
        self, worker: Worker, pacer: Pacer, reporter: Reporter, look: Callable[[], Awaitable[Looked]]
    ) -> None:
        self._worker, self._pacer, self._reporter, self._look = worker, pacer, reporter, look

    async def frame(self, wanted: Frame) -> Snapped:
        taken = await self._worker.snap(Snap(side_px=wanted.side_px, max_bytes=FRAME_MAX_BYTES), SNAP_S)
        if isinstance(taken, SnapFailed):
            raise CameraFailed(taken.detail)
        return taken

    async def look(self) -> Looked:
        return await self._look()

    def pause(self, *, paused: bool) -> None:
        if paused:
            self._pacer.pause()
        else:
            self._pacer.resume()
        self._reporter.pause(paused=paused)


class MachineHands:
    """See `agent.ports.hands.Machine`."""

    def __init__(self, ring: Ring, settings: Settings, config: Path) -> None:
        self._ring, self._settings, self._config = ring, settings, config

    def log(self, lines: int) -> Lines:
        return Lines(lines=self._ring.newest(lines, tuple(secrets(self._settings))))

    async def check(self) -> Checked:
        argv = [sys.executable, "-P", "-m", "agent", "check", "--json", "--config", str(self._config)]
        child = await asyncio.create_subprocess_exec(*argv, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
        try:
            async with asyncio.timeout(CHECK_S):
                said = await _bounded(child)
                status = await child.wait()
        except TimeoutError as error:
            raise Unavailable(f"the check did not end within {CHECK_S:g} s") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        return found(said, status)


async def _bounded(child: asyncio.subprocess.Process) -> bytes:
    assert child.stdout is not None
    said = bytearray()
    while piece := await child.stdout.read(1 << 16):
        said += piece
        if len(said) > FINDINGS_MAX_BYTES:
            raise Unavailable(f"the check said more than {FINDINGS_MAX_BYTES} bytes")
    return bytes(said)


class _Findings(msgspec.Struct, frozen=True):
    findings: tuple[Finding, ...]


def found(said: bytes, status: int) -> Checked:
    """What `shoal-agent check --json` printed.

    Raises:
        Unavailable: it printed something else.
    """
    try:
        findings = msgspec.json.decode(said, type=_Findings).findings
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable(f"the check ended with status {status} and without findings: {error}") from error
    return Checked(status=status, findings=findings[:FINDINGS_MAX])


def secrets(settings: Settings) -> Iterator[str]:
    """What the configuration knows and nobody else may read."""
    for line in pipelines(settings):
        password = line.camera.url.rpartition("@")[0].partition("://")[2].partition(":")[2]
        yield from (password, unquote(password))
    for path in (settings.broker.password_file, settings.web.password_file):
        if path:
            with contextlib.suppress(OSError, UnicodeDecodeError):
                yield from map(str.strip, Path(path).read_text(encoding="utf-8").splitlines())


def remote(shared: Shared, lines: Sequence[Pipeline], ring: Ring, config: Path) -> Commands:
    """What takes commands for these pipelines."""
    settings = shared.settings
    hands = {line.name: PipelineHands(line.worker, line.pacer, line.reporter, line.look) for line in lines}
    return Commands(
        link=shared.link,
        post=shared.post,
        trust=shared.trust,
        memory=MemoryFile(Path(settings.device.state_dir) / "commands.json"),
        clock=shared.clock,
        reach=Reach(shared.facts.id, shared.root, hands, MachineHands(ring, settings, config)),
        per_minute=settings.commands.per_minute,
    )
