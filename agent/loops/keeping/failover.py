"""The worker, and what stands in for its model while there is no Edge TPU.

`WorkerKeeper` keeps the process; here is decided what it serves. Whenever a model on an Edge TPU fails, the
variant for the CPU serves first, and the Edge TPU is looked at afterwards, in a child process: that may take
ten seconds. Only a model that fails while its Edge TPU is there has failed itself.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from msgspec.structs import replace

from agent.core.edgetpu.words import Trouble
from agent.core.serving import failover
from agent.core.serving.failover import Cause, Offer
from agent.loops.keeping.keeper import WorkerKeeper
from agent.loops.keeping.life import Death
from agent.ports.accelerator import Accelerator
from agent.ports.children import Died, Guilty, Happening, Lost, Observation, Returned, StoodIn
from agent.wire.ipc import (
    InvokeFailed,
    ModelSpec,
    Pace,
    Sampled,
    ServeFailed,
    Serving,
    Snap,
    SnapFailed,
    Snapped,
)
from agent.wire.reasons import Reason

log = logging.getLogger(__name__)

FIRST_S = 3.0
"""So long the fallback has the processor for itself to come up, before the Edge TPU is looked at."""
LENT_S = 2.0
"""After it was lent, the Edge TPU is left alone for this long: what was tried there usually takes over."""


class Failover:
    """See `agent.ports.children.Worker`."""

    def __init__(self, keeper: WorkerKeeper, accelerator: Accelerator) -> None:
        self._keeper, self._accelerator = keeper, accelerator
        self._turn = asyncio.Lock()
        """Held by whoever changes what is served."""
        self._offer: Offer | None = None
        self._on_preferred = False
        self._lending = False
        self._words = ""
        """Why it is degraded."""
        self._ends = 0
        """Of the process, with a model on the Edge TPU in it."""
        self._lost_s: float | None = None
        self._spells = self._guilty = 0
        """Of the preferred model, with its Edge TPU there: aborts and hangs in a row, and failures in all."""
        self._since_s = 0.0
        """When it began to serve there."""
        self._sinks: list[Callable[[Happening], None]] = []
        self._observers: list[Callable[[Observation], None]] = []
        self._group: asyncio.TaskGroup | None = None
        self._mending: asyncio.Task[None] | None = None
        self._serves_again = asyncio.Event()
        self.causes: dict[Cause, int] = Counter()
        keeper.on_death(self._died)
        keeper.on_retaken(self._retaken)
        keeper.observe(self._observed)

    @property
    def restarts(self) -> int:
        return sum(self.causes.values())

    @property
    def pid(self) -> int | None:
        return self._keeper.pid

    def watch(self, sink: Callable[[Happening], None]) -> None:
        self._sinks.append(sink)

    def observe(self, sink: Callable[[Observation], None]) -> None:
        self._observers.append(sink)

    def on_crash(self, sink: Callable[[str], None]) -> None:
        self._keeper.on_crash(sink)

    def pace(self, pace: Pace) -> None:
        self._keeper.pace(pace)

    async def sample(self, timeout_s: float) -> Sampled | None:
        return await self._keeper.sample(timeout_s)

    async def snap(self, wanted: Snap, timeout_s: float) -> Snapped | SnapFailed:
        return await self._keeper.snap(wanted, timeout_s)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await self._keeper.run()
            finally:
                self._group = None

    async def rest(self) -> None:
        self._stop_mending()
        async with self._turn:
            self._offer = None
            await self._keeper.rest()
            self._say(Returned(None, None))

    async def serve(self, offer: Offer) -> Serving | ServeFailed:
        self._stop_mending()
        try:
            async with self._turn:
                return await self._bring(offer)
        finally:
            self._mend()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[bool]:
        self._stop_mending()
        self._lending = True
        try:
            async with self._turn:
                serves = await self._lend()
            yield serves
        finally:
            self._lending = False
            self._mend(LENT_S)

    async def _lend(self) -> bool:
        """Whether something serves once the Edge TPU is free."""
        offer = self._offer
        if offer is None or offer.preferred.edgetpu is None:
            return offer is not None
        lost = not self._on_preferred and self._lost_s is not None
        self._on_preferred = False
        if offer.fallback is None:
            await self._keeper.rest()
            if not lost:
                self._say(
                    StoodIn(None, "the Edge TPU is lent to a trial; nothing serves until that has ended")
                )
            return False
        answer = await self._keeper.serve(offer.fallback)
        if isinstance(answer, ServeFailed):
            log.warning("edgetpu.not-lent", extra={"detail": answer.detail})
        elif not lost:
            self._say(StoodIn(answer, ""))
        return True

    async def _bring(self, offer: Offer) -> Serving | ServeFailed:
        """Where nothing serves yet the fallback is first: an Edge TPU may take ten seconds to open."""
        stands_in = None
        if offer.fallback is not None and self._keeper.current is None:
            stands_in = await self._keeper.serve(offer.fallback)
            if isinstance(stands_in, Serving):
                self._adopt(offer, on_preferred=False)
                self._say(StoodIn(stands_in, ""))
        answer = await self._prefer(offer, asked=True)
        if isinstance(answer, Serving):
            return answer
        if offer.preferred.edgetpu is None:
            return answer
        return await self._without(offer, answer, stands_in)

    def _adopt(self, offer: Offer, *, on_preferred: bool) -> None:
        if self._offer is None or self._offer.preferred.digest != offer.preferred.digest:
            self._spells = self._guilty = 0
        self._offer, self._on_preferred, self._lost_s = offer, on_preferred, None
        self._since_s = asyncio.get_running_loop().time()

    async def _prefer(self, offer: Offer, *, asked: bool) -> Serving | ServeFailed:
        """Have the preferred model served; it may end the process before this is known to have happened.

        Args:
            offer: of the release.
            asked: somebody waits for the answer, so that it is not told besides.
        """
        ends, lost_s = self._ends, None if asked else self._lost_s
        answer = await self._keeper.serve(offer.preferred)
        if isinstance(answer, Serving):
            away_s = None if lost_s is None else asyncio.get_running_loop().time() - lost_s
            self._adopt(offer, on_preferred=True)
            self._say(Returned(None if asked else answer, away_s))
            if self._ends != ends:
                self._suspect("it ended the worker as soon as it served", examined=False)
        return answer

    async def _without(
        self, offer: Offer, failed: ServeFailed, stands_in: Serving | ServeFailed | None
    ) -> Serving | ServeFailed:
        """What becomes of an offer whose preferred model was not to be had on the Edge TPU."""
        why = await self._hardware_fault(offer.preferred, failed.detail)
        if why is None and offer.on_probation:
            return failed
        if offer.fallback is None:
            if self._keeper.current is None and not offer.on_probation:
                self._adopt(offer, on_preferred=False)
                self._lose(why or failed.detail)
            return failed if why is None else replace(failed, reason=Reason.NEEDS_EDGETPU, detail=why)
        answer = stands_in or await self._keeper.serve(offer.fallback)
        if isinstance(answer, Serving):
            self._adopt(offer, on_preferred=False)
            self._lose(why or failed.detail)
        return answer

    async def _hardware_fault(self, model: ModelSpec, how: str) -> str | None:
        """Look at the Edge TPU: in words, why it is the hardware's fault; None where it is the model's."""
        trouble = await self._trouble(model)
        if failover.is_hardware(how, opens=trouble is None, spells=self._spells):
            if trouble is None:
                self._spells += 1
            return trouble or f"the Edge TPU failed and is there again ({how})"
        return None

    async def _trouble(self, model: ModelSpec) -> str | None:
        assert model.edgetpu is not None
        sight = await self._accelerator.look(model.edgetpu, opening=True)
        if sight.opened:
            return None
        finding = sight.finding
        return str(finding) if isinstance(finding, Trouble) else "the Edge TPU cannot be opened"

    def _lose(self, why: str) -> None:
        """Say that the Edge TPU is lost, and since when."""
        assert self._offer is not None
        if self._lost_s is None:
            self._lost_s = asyncio.get_running_loop().time()
        fallback = self._offer.fallback
        log.warning("edgetpu.lost", extra={"why": why})
        self._say(StoodIn(None, failover.degraded(why, fallback)))
        self._say(Lost(why, stands_in=fallback is not None))

    def _died(self, death: Death) -> None:
        self.causes[death.cause] += 1
        self._ends += death.on_edgetpu
        self._say(Died(death.how, counts=not death.on_edgetpu and death.cause is not Cause.CAMERA))
        if death.on_edgetpu:
            # While a model is being exchanged it is the new one that is under suspicion.
            self._suspect(death.how, examined=self._turn.locked())

    def _observed(self, seen: Observation) -> None:
        if isinstance(seen, InvokeFailed):
            self._suspect(seen.detail, examined=False)
        for observer in self._observers:
            observer(seen)

    def _suspect(self, how: str, *, examined: bool) -> None:
        """The preferred model has failed on its Edge TPU, or ended the process there.

        Args:
            how: in words.
            examined: somebody else finds out who is to blame, and brings the preferred model back.
        """
        offer = self._offer
        if offer is None or not self._on_preferred or offer.preferred.edgetpu is None:
            return
        self._on_preferred = False
        self._lost_s = asyncio.get_running_loop().time()
        if self._lost_s - self._since_s > failover.CALM_S:
            self._spells = self._guilty = 0
        self._keeper.serve_next(offer.fallback)
        why = f"the model failed on the Edge TPU ({how})"
        self._say(StoodIn(None, failover.degraded(why, offer.fallback)))
        self._serves_again.clear()
        if not examined:
            self._begin(self._after(offer, how, alive=self._keeper.pid is not None))

    def _retaken(self, serving: Serving) -> None:
        """A new process serves; if that is the fallback, it is time to say so."""
        self._serves_again.set()
        if self._offer is not None and not self._on_preferred:
            self._say(StoodIn(serving, self._words))

    async def _after(self, offer: Offer, how: str, *, alive: bool) -> None:
        """Put the fallback in its place, find out who is to blame, and bring the preferred model back."""
        async with self._turn:
            if alive:
                await self._replace(offer)
            elif offer.fallback is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FIRST_S):
                        await self._serves_again.wait()
            why = await self._hardware_fault(offer.preferred, how)
            if why is None:
                self._blame(how)
            else:
                self._lose(why)
        await self._bring_back(offer, 0.0)

    async def _replace(self, offer: Offer) -> None:
        if offer.fallback is None:
            await self._keeper.rest()
            return
        answer = await self._keeper.serve(offer.fallback)
        if isinstance(answer, Serving):
            self._say(StoodIn(answer, self._words))

    def _blame(self, how: str) -> None:
        self._guilty += 1
        self._lost_s = None
        if self.causes.get(Cause.EDGETPU):
            self.causes[Cause.EDGETPU] -= 1
            self.causes[Cause.CRASHED] += 1
        self._say(Guilty(how))

    async def _bring_back(self, offer: Offer, delay_s: float) -> None:
        attempt = 0
        while self._guilty < failover.GUILTY_MAX:
            await asyncio.sleep(delay_s or failover.look_again_s(attempt))
            delay_s, attempt = 0.0, attempt + 1
            async with self._turn:
                if await self._returned(offer):
                    return
        why = "the model has failed on the Edge TPU again and again"
        self._say(StoodIn(None, failover.degraded(why, offer.fallback)))

    async def _returned(self, offer: Offer) -> bool:
        trouble = await self._trouble(offer.preferred)
        if trouble is not None:
            self._say(StoodIn(None, failover.degraded(trouble, offer.fallback)))
            return False
        answer = await self._prefer(offer, asked=False)
        if isinstance(answer, ServeFailed):
            why = await self._hardware_fault(offer.preferred, answer.detail)
            if why is None:
                self._blame(answer.detail)
            return False
        return True

    def _mend(self, delay_s: float = 0.0) -> None:
        """Begin to bring the preferred model back, if it is not there and nothing else is under way."""
        offer = self._offer
        idle = (self._mending is None or self._mending.done()) and not self._lending
        if idle and offer is not None and not self._on_preferred and offer.preferred.edgetpu is not None:
            self._begin(self._bring_back(offer, delay_s))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        self._stop_mending()
        if self._group is None:
            work.close()
        else:
            self._mending = self._group.create_task(work)

    def _stop_mending(self) -> None:
        if self._mending is not None:
            self._mending.cancel()
            self._mending = None

    def _say(self, happening: Happening) -> None:
        if isinstance(happening, StoodIn):
            self._words = happening.degraded
        for sink in self._sinks:
            sink(happening)
