"""The supervisor's end of the pipe: a child process, started, fed, listened to and always reaped."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from agent.core import exits
from agent.wire import ipc
from agent.wire.errors import TooLarge, Unavailable, WireError
from agent.wire.ipc import Findings, FromCanary, Prove, ProveFailed, Shadow, Shadowed, Tune, Tuned
from agent.wire.reasons import Reason
from agent.wire.topics import Digest

log = logging.getLogger(__name__)

In = TypeVar("In", bound=ipc.Message)
Out = TypeVar("Out")

PATIENCE_S: Final = 1.0
"""How long a child may take to end after it was asked to."""
LINE_MAX_BYTES: Final = 500
LINES_MAX: Final = 60
"""Lines of standard error that are logged in a minute; a broken driver can print thousands."""
MESSAGES_MAX_PER_S: Final = 5_000
"""More than any camera gives frames, and less than would keep the supervisor from everything else."""
AT_ONCE_MAX: Final = 64
"""Messages that are there already are taken without a pause for others."""
NOT_INHERITED: Final = frozenset(
    {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}
)
"""What the service manager says to the supervisor alone."""


def command(subcommand: str, settings: msgspec.Struct | None = None) -> list[str]:
    """The command line of a child of this very program; its settings travel as one JSON argument."""
    told = [] if settings is None else [msgspec.json.encode(settings).decode()]
    return [sys.executable, "-P", "-m", "agent", subcommand, *told]


class ChildProcess(Generic[In, Out]):
    """See `agent.ports.pipe.Child`; made by `start`."""

    def __init__(self, name: str, process: Process, decoder: msgspec.msgpack.Decoder[Out]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._name = name
        self._process = process
        self._handle = _Handle(process.pid)
        self._decoder = decoder
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._second, self._heard = 0, 0
        self._drain = asyncio.create_task(_log_lines(process.stderr, name), name=f"{name} stderr")

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: In) -> None:
        if not self._stdin.is_closing():
            self._stdin.write(ipc.pack(message))

    async def receive(self) -> Out | None:
        try:
            await self._count()
            length = ipc.body_bytes(await self._stdout.readexactly(ipc.HEADER_BYTES))
            return ipc.unpack(await self._stdout.readexactly(length), self._decoder)
        except asyncio.IncompleteReadError:
            return None
        except WireError as error:
            log.error("child.corrupt_stream", extra={"child": self._name, "reason": str(error)})  # noqa: TRY400 - the trace says no more
            self.kill()
            return None

    async def _count(self) -> None:
        """
        Raises:
            TooLarge: it says more within a second than anybody could have to say.
        """
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            self._second, self._heard = second, 0
        self._heard += 1
        if self._heard > MESSAGES_MAX_PER_S:
            raise TooLarge(f"it says more than {MESSAGES_MAX_PER_S} things within a second")
        if self._heard % AT_ONCE_MAX == 0:
            await asyncio.sleep(0)

    def kill(self) -> None:
        self._handle.send(signal.SIGKILL)

    async def ended(self) -> str:
        status = await self._process.wait()
        self._handle.close()
        await asyncio.wait({self._drain})
        return exits.in_words(status)

    async def close(self) -> None:
        self._handle.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._until_gone()
        except TimeoutError:
            self.kill()
            await self._until_forgotten()

    async def _until_forgotten(self) -> None:
        """A process that it has started may hold the pipe open for as long as it likes."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._until_gone()
        except TimeoutError:
            self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no public way
            await self._until_gone()

    async def _until_gone(self) -> None:
        # A child blocked in a write to us ends only when somebody reads.
        while await self._stdout.read(1 << 16):
            pass
        await self.ended()


class _Handle:
    """Signals for this very process, never for a later one of the same number.

    asyncio's own `kill` polls the process first, and if it is just dead, takes its exit status away from
    the thread that waits for it, which then knows only "255".
    """

    def __init__(self, pid: int) -> None:
        self._fd: int | None = None
        with contextlib.suppress(ProcessLookupError):
            self._fd = os.pidfd_open(pid)

    def send(self, number: signal.Signals) -> None:
        if self._fd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, number)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


async def start(
    argv: Sequence[str],
    decoder: msgspec.msgpack.Decoder[Out],
    *,
    name: str,
    descriptors: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
) -> ChildProcess[ipc.Message, Out]:
    """Start a process with this command line, whose standard input and output are the pipe. It inherits the
    descriptors under their numbers, and the environment beside our own.

    Raises:
        Unavailable: the system refuses to start a process now.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=_environment(os.environ) | dict(environment or {}),
            limit=1 << 20,
            pass_fds=descriptors,
        )
    except OSError as error:
        raise Unavailable(f"{name} cannot be started: {error}") from error
    return ChildProcess(name, process, decoder)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in ours.items() if name not in NOT_INHERITED}
    # numpy would start a pool of threads for matrix products, and there are none in a child.
    return {"OPENBLAS_NUM_THREADS": "1", **inherited}


async def _log_lines(stream: asyncio.StreamReader, name: str) -> None:
    """Each line into the log, shortened; beyond the bound only their number."""
    loop = asyncio.get_running_loop()
    minute, lines = loop.time(), 0
    rest = b""
    while piece := await stream.read(1 << 16):
        *complete, rest = (rest + piece).split(b"\n")
        rest = rest[:LINE_MAX_BYTES]
        if loop.time() - minute > 60:
            if lines > LINES_MAX:
                log.warning("child.stderr_cut", extra={"child": name, "lines": lines - LINES_MAX})
            minute, lines = loop.time(), 0
        for line in complete:
            lines += 1
            if lines <= LINES_MAX:
                _log_line(line, name)
    if rest and lines <= LINES_MAX:
        _log_line(rest, name)


def _log_line(line: bytes, name: str) -> None:
    text = line[:LINE_MAX_BYTES].decode(errors="replace").rstrip()
    log.info("child.stderr", extra={"child": name, "line": text})


class CanaryProcess:
    """See `agent.ports.children.Canary`. After the first failure the process is gone for good."""

    def __init__(self, child: ChildProcess[ipc.Message, FromCanary]) -> None:
        self._child = child
        self._manifest = Digest("")
        self._failed: ProveFailed | None = None

    async def prove(self, prove: Prove, timeout_s: float) -> Findings | ProveFailed:
        self._manifest = prove.model.manifest
        answer = await self._ask(prove, timeout_s)
        if isinstance(answer, Shadowed | Tuned):
            return await self._give_up(Reason.CANARY_CRASHED, "it answered another question")
        return answer

    async def shadow(self, frame: Shadow, timeout_s: float) -> Shadowed | ProveFailed:
        answer = await self._ask(frame, timeout_s)
        if isinstance(answer, Findings | Tuned):
            return await self._give_up(Reason.CANARY_CRASHED, "it answered another question")
        return answer

    async def tune(self, tune: Tune, timeout_s: float) -> Tuned | ProveFailed:
        answer = await self._ask(tune, timeout_s)
        if isinstance(answer, Findings | Shadowed):
            return await self._give_up(Reason.CANARY_CRASHED, "it answered another question")
        return answer

    async def close(self) -> None:
        await self._child.close()

    async def _ask(self, question: Prove | Shadow | Tune, timeout_s: float) -> FromCanary:
        if self._failed is not None:
            return self._failed
        self._child.send(question)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._child.receive()
        except TimeoutError:
            self._child.kill()
            return await self._give_up(Reason.CANARY_TIMEOUT, f"no answer within {timeout_s:g} s")
        if answer is None:
            await self._child.close()
            return await self._give_up(Reason.CANARY_CRASHED, await self._child.ended())
        return answer

    async def _give_up(self, reason: Reason, detail: str) -> ProveFailed:
        await self.close()
        self._failed = ProveFailed(manifest=self._manifest, reason=reason, detail=detail)
        return self._failed


class StartCanary:
    """See `agent.ports.children.SpawnCanary`."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._argv, self._environment = argv, environment

    async def __call__(self) -> CanaryProcess:
        child = await start(self._argv, ipc.from_canary, name="canary", environment=self._environment)
        return CanaryProcess(child)


class StartWorker:
    """How a keeper starts a worker, or a feeder."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        name: str = "worker",
        descriptors: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._argv, self._name = argv, name
        self._descriptors, self._environment = descriptors, environment

    async def __call__(self) -> ChildProcess[ipc.Message, ipc.FromWorker]:
        return await start(
            self._argv,
            ipc.from_worker,
            name=self._name,
            descriptors=self._descriptors,
            environment=self._environment,
        )
