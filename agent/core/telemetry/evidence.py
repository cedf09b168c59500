"""What a release shows on live frames since it was activated, in bounded memory, for a rollout's gate.

Frames that were classified while the SoC held its clock down say more of the heat than of the release: their
durations are left out. Whether it did is known only at the next reading of the sensors, so durations wait
for it.
"""

from typing import Final

from agent.core.telemetry.answers import Answers
from agent.core.telemetry.latency import Sketch
from agent.wire.ipc import Predicted
from agent.wire.reports import CLASSES_TOLD, Evidence
from agent.wire.topics import Digest

WAITING_MAX: Final = 512
"""Durations that wait for a reading of the sensors; on a host without any it never comes."""


class Gathering:
    """Of one variant of one release, from its activation on."""

    def __init__(self, manifest: Digest, digest: Digest) -> None:
        self.manifest, self._digest = manifest, digest
        self._frames = self._errors = self._restarts = 0
        self._waiting: list[float] = []
        self._invoke = Sketch()
        self._timed = False
        self._answers = Answers()
        self._soc_c_max: float | None = None
        self._throttled = False

    def predicted(self, seen: Predicted) -> None:
        self._frames += 1
        self._waiting.append(seen.latency_ms.invoke)
        if len(self._waiting) >= WAITING_MAX:
            self._settle()
        self._answers.add(seen)

    def failed(self) -> None:
        self._frames += 1
        self._errors += 1

    def restarted(self) -> None:
        """The worker had to be started anew, and this release is blamed for it."""
        self._restarts += 1

    def look(self, soc_c: float | None, *, throttled: bool) -> None:
        """A reading of the sensors; `throttled`: the SoC held its clock down since the one before."""
        if soc_c is not None:
            self._soc_c_max = soc_c if self._soc_c_max is None else max(self._soc_c_max, soc_c)
        if throttled:
            self._throttled = True
            self._waiting.clear()
        else:
            self._settle()

    def to_document(self, *, shadow_frames: int = 0, agreed_frames: int = 0) -> Evidence:
        """All of it so far, with what its trial has shown."""
        self._settle()
        return Evidence(
            manifest=self.manifest,
            digest=self._digest,
            frames=self._frames,
            errors=self._errors,
            restarts=self._restarts,
            invoke_ms=self._invoke.to_document() if self._timed else None,
            confidence=self._answers.confidence,
            classes=self._answers.classes(CLASSES_TOLD),
            shadow_frames=shadow_frames,
            agreed_frames=agreed_frames,
            soc_c_max=self._soc_c_max,
            throttled=self._throttled,
        )

    def _settle(self) -> None:
        for invoke_ms in self._waiting:
            self._invoke.add(invoke_ms)
            self._timed = True
        self._waiting.clear()
