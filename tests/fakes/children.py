import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from queue import Empty, SimpleQueue
from typing import TypeVar

from agent.core.serving.failover import Cause, Offer
from agent.ports.children import Died, Happening, Observation
from agent.wire.ipc import (
    Findings,
    FromWorker,
    Message,
    ModelSpec,
    Pace,
    Prove,
    ProveFailed,
    Sampled,
    ServeFailed,
    Serving,
    Shadow,
    Shadowed,
    Snap,
    SnapFailed,
    Snapped,
    Tune,
    Tuned,
)
from agent.wire.topics import Digest

M = TypeVar("M", bound=Message)

DEADLINE_S = 5.0


class MemoryPipe:
    """A child's end of the pipe whose other end is the test."""

    def __init__(self) -> None:
        self._to_child: SimpleQueue[Message | None] = SimpleQueue()
        self._from_child: SimpleQueue[Message] = SimpleQueue()
        self.sent: list[Message] = []

    def send(self, message: Message) -> None:
        self.sent.append(message)
        self._from_child.put(message)

    def receive(self) -> Message | None:
        return self._to_child.get()

    def tell(self, message: Message) -> None:
        self._to_child.put(message)

    def hang_up(self) -> None:
        self._to_child.put(None)

    def heard(self, kind: type[M]) -> M:
        """The next message of this kind; others before it are passed over."""
        while True:
            try:
                message = self._from_child.get(timeout=DEADLINE_S)
            except Empty:
                raise AssertionError(f"no {kind.__name__} within {DEADLINE_S:g} s: {self.sent}") from None
            if isinstance(message, kind):
                return message


class ScriptedChild:
    """The supervisor's end of a process that only pretends to be one."""

    def __init__(self, pid: int = 1) -> None:
        self.pid = pid
        self.sent: list[Message] = []
        self.closed = False
        self._out: asyncio.Queue[FromWorker | None] = asyncio.Queue()
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def send(self, message: Message) -> None:
        self.sent.append(message)
        self._told.put_nowait(message)

    async def told(self) -> Message:
        """The next message that it was sent."""
        async with asyncio.timeout(DEADLINE_S):
            return await self._told.get()

    def say(self, *messages: FromWorker) -> None:
        for message in messages:
            self._out.put_nowait(message)

    def die(self, how: str) -> None:
        if not self._end.done():
            self._end.set_result(how)
        self._out.put_nowait(None)

    async def receive(self) -> FromWorker | None:
        return await self._out.get()

    def kill(self) -> None:
        self.die("killed by SIGKILL")

    async def ended(self) -> str:
        return await asyncio.shield(self._end)

    async def close(self) -> None:
        self.closed = True
        self.die("exit status 0")


class ScriptedWorker:
    """A `Worker` that answers every model with `answer` and has `samples` to give."""

    def __init__(self, answer: Callable[[ModelSpec], Serving | ServeFailed]) -> None:
        self.causes: dict[Cause, int] = Counter()
        self.offers: list[Offer] = []
        self.lends = 0
        self.pid: int | None = 1
        self.served: list[ModelSpec] = []
        self.paces: list[Pace] = []
        self.samples: list[Sampled] = []
        self.snaps: list[Snap] = []
        self.snapped: Snapped | SnapFailed = SnapFailed(detail="there is no camera here")
        self._answer = answer
        self._sinks: list[Callable[[Observation], None]] = []
        self._crash_sinks: list[Callable[[str], None]] = []
        self._watchers: list[Callable[[Happening], None]] = []

    @property
    def restarts(self) -> int:
        return sum(self.causes.values())

    async def serve(self, offer: Offer) -> Serving | ServeFailed:
        self.offers.append(offer)
        answer = self._answer(offer.preferred)
        if isinstance(answer, Serving):
            self.served.append(offer.preferred)
        return answer

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[bool]:
        self.lends += 1
        yield bool(self.served)

    async def rest(self) -> None:
        self.served.clear()

    async def sample(self, timeout_s: float) -> Sampled | None:
        if self.samples:
            return self.samples.pop(0)
        await asyncio.sleep(timeout_s)
        return None

    def pace(self, pace: Pace) -> None:
        self.paces.append(pace)

    async def snap(self, wanted: Snap, timeout_s: float) -> Snapped | SnapFailed:
        assert timeout_s > 0
        self.snaps.append(wanted)
        return self.snapped

    def observe(self, sink: Callable[[Observation], None]) -> None:
        self._sinks.append(sink)

    def on_crash(self, sink: Callable[[str], None]) -> None:
        self._crash_sinks.append(sink)

    async def run(self) -> None:
        await asyncio.Event().wait()

    def watch(self, sink: Callable[[Happening], None]) -> None:
        self._watchers.append(sink)

    def tell(self, happening: Happening) -> None:
        for sink in self._watchers:
            sink(happening)

    def see(self, *observations: Observation) -> None:
        for observation in observations:
            for sink in self._sinks:
                sink(observation)

    def crash(self, how: str = "killed by SIGSEGV") -> None:
        self.causes[Cause.CRASHED] = self.restarts + 1
        self.tell(Died(how, counts=True))
        for sink in self._crash_sinks:
            sink(how)


class ScriptedCanary:
    """A `Canary` that has its answers ready."""

    def __init__(
        self,
        proved: Findings | ProveFailed,
        shadowed: Iterable[Shadowed | ProveFailed] = (),
        *,
        otherwise: Mapping[Digest, Findings | ProveFailed] | None = None,
    ) -> None:
        """`otherwise`: what comes of models with these digests."""
        self._proved, self._otherwise = proved, otherwise or {}
        self._shadowed = iter(shadowed)
        self.tuned: Tuned | ProveFailed | None = None
        """None: every model takes as long."""
        self.asked: list[Prove | Shadow | Tune] = []
        self.closed = False

    async def prove(self, prove: Prove, timeout_s: float) -> Findings | ProveFailed:
        assert timeout_s > 0
        self.asked.append(prove)
        return self._otherwise.get(prove.model.digest, self._proved)

    async def shadow(self, frame: Shadow, timeout_s: float) -> Shadowed | ProveFailed:
        assert timeout_s > 0
        self.asked.append(frame)
        return next(self._shadowed)

    async def tune(self, tune: Tune, timeout_s: float) -> Tuned | ProveFailed:
        assert timeout_s > 0
        self.asked.append(tune)
        return self.tuned or Tuned(invoke_ms=(5.0,) * len(tune.models))

    async def close(self) -> None:
        self.closed = True

    async def spawn(self) -> "ScriptedCanary":
        return self
