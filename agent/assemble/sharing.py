"""Cameras that several pipelines classify: their memory, their bells, their feeders."""

import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.adapters import child_process
from agent.adapters.cameras.shared.memory import allocate, bell
from agent.assemble.children import private
from agent.assemble.children.feeder import FeederSettings
from agent.assemble.children.worker import SharedSource, WorkerSettings
from agent.config import CameraKind, PipelineSettings
from agent.core.camera.health import patience_s
from agent.loops.keeping.feeding import FeederKeeper
from agent.loops.keeping.life import Patience


class Sharing:
    """One camera, its feeder, and what each pipeline that reads it needs. The descriptors stay open for
    as long as the agent runs: a process that is started again inherits the same ones.
    """

    def __init__(
        self, owner: PipelineSettings, readers: Sequence[str], hidden: tuple[Path, ...] = ()
    ) -> None:
        camera = owner.camera
        self.of, self.camera = owner.name, camera
        self._memory = allocate(camera.width_px, camera.height_px)
        self._bells = {name: bell() for name in readers}
        bells = tuple(self._bells.values())
        settings = FeederSettings(
            camera=private.without_address(camera), memory_fd=self._memory, bell_fds=bells
        )
        self.keeper = FeederKeeper(
            owner.name,
            child_process.StartWorker(
                child_process.command("feeder", settings),
                name="feeder",
                descriptors=(self._memory, *bells),
                environment=private.told(hidden, camera),
            ),
            random.Random(),  # noqa: S311 - jitter
        )

    def descriptors(self, reader: str) -> tuple[int, ...]:
        return self._memory, self._bells[reader]

    def source(self, reader: str) -> SharedSource:
        return SharedSource(
            memory_fd=self._memory,
            bell_fd=self._bells[reader],
            of=self.of,
            rate_fps=self.camera.rate_fps,
            kind=self.camera.kind,
        )

    def close(self) -> None:
        """After every process that holds them has ended."""
        for descriptor in (self._memory, *self._bells.values()):
            os.close(descriptor)


def shared_cameras(lines: Sequence[PipelineSettings], hidden: tuple[Path, ...] = ()) -> dict[str, Sharing]:
    """By the name of each pipeline that reads through a feeder: the owner of a shared camera does, too.

    Args:
        lines: all pipelines.
        hidden: what a feeder may not read.
    """
    sharing: dict[str, Sharing] = {}
    for owner in lines:
        guests = [
            line.name
            for line in lines
            if line.camera.kind is CameraKind.SHARED and line.camera.of == owner.name
        ]
        if guests:
            readers = [owner.name, *guests]
            sharing |= dict.fromkeys(readers, Sharing(owner, readers, hidden))
    return sharing


def patience(line: PipelineSettings, sharing: Mapping[str, Sharing]) -> Patience:
    """A camera may be slow, and a pipeline may want only some of its frames."""
    seen = sharing[line.name].camera if line.name in sharing else line.camera
    return Patience(frame_s=patience_s(seen.rate_fps, line.camera.every_nth))


def start_worker(
    line: PipelineSettings, sharing: Mapping[str, Sharing], hidden: tuple[Path, ...] = ()
) -> child_process.StartWorker:
    """How the worker of this pipeline is started: with its own camera, or with its part in a shared one.

    Args:
        line: the pipeline.
        sharing: see `shared_cameras`.
        hidden: what the worker may not read.
    """
    found = sharing.get(line.name)
    settings = WorkerSettings(
        camera=private.without_address(line.camera), shared=found.source(line.name) if found else None
    )
    return child_process.StartWorker(
        child_process.command("worker", settings),
        descriptors=found.descriptors(line.name) if found else (),
        environment=private.told(hidden, None if found else line.camera),
    )
