"""Has models measured in a canary, and remembers what came of it."""

import asyncio
import logging
from collections.abc import Sequence

from agent.core.serving import tuning
from agent.core.serving.tuning import Timing, Tuning
from agent.core.update.lifecycle import Fitted
from agent.ports.children import Canary
from agent.ports.tunings import Tunings
from agent.wire.documents import Delegate
from agent.wire.errors import StoreFailed
from agent.wire.ipc import ModelSpec, ProveFailed, Tune
from agent.wire.topics import Digest

log = logging.getLogger(__name__)

TUNE_S = 30.0
"""Loading, where an Edge TPU takes ten seconds to open, and measuring."""


class Tuner:
    def __init__(self, memory: Tunings, *, runtime: str, host: str, cores: int) -> None:
        """
        Args:
            memory: where measurements are kept.
            runtime: name and version; with another one it is measured anew.
            host: what computes, in words; same.
            cores: that this process may use.
        """
        self._memory, self._runtime, self._host = memory, runtime, host
        self._known = memory.load()
        self.counts = tuning.counts(cores)

    def of(self, release: Fitted) -> Tuning | None:
        """What was measured of this release here."""
        variant, compiled = _pair(release)
        if variant is None:
            return None
        return tuning.find(
            self._known, variant=variant, compiled=compiled, runtime=self._runtime, host=self._host
        )

    async def measure(self, canary: Canary, release: Fitted, specs: Sequence[ModelSpec]) -> Tuning | None:
        """Measure and remember; None where it could not be measured."""
        variant, compiled = _pair(release)
        answer = await canary.tune(Tune(models=tuple(specs)), TUNE_S)
        if isinstance(answer, ProveFailed) or variant is None:
            log.warning("tuning.failed", extra={"release": release.name, "detail": str(answer)})
            return None
        timed = [(spec, ms) for spec, ms in zip(specs, answer.invoke_ms, strict=True) if ms is not None]
        cpu = tuple(Timing(spec.threads, ms) for spec, ms in timed if spec.edgetpu is None)
        if not cpu or cpu[0].threads != specs[0].threads:
            log.warning("tuning.failed", extra={"release": release.name, "detail": "time was up"})
            return None
        found = Tuning(
            variant=variant,
            compiled=compiled,
            runtime=self._runtime,
            host=self._host,
            cpu=cpu,
            edgetpu_ms=next((ms for spec, ms in timed if spec.edgetpu is not None), None),
        )
        await self._keep(tuning.remember(self._known, found))
        log.info("tuning.measured", extra={"release": release.name, "words": tuning.in_words(found)})
        return found

    async def forget(self, release: Fitted) -> None:
        """It is to be measured again."""
        variant, _ = _pair(release)
        if variant is not None:
            await self._keep(tuning.forget(self._known, variant))

    async def _keep(self, known: tuple[Tuning, ...]) -> None:
        self._known = known
        try:
            await asyncio.to_thread(self._memory.save, known)
        except StoreFailed as error:
            log.warning("tuning.not-kept", extra={"error": str(error)})


def _pair(release: Fitted) -> tuple[Digest | None, Digest | None]:
    """The variant for the CPU and the compiled one."""
    if release.delegate is Delegate.EDGETPU:
        return release.twin, release.variant
    return release.variant, None
