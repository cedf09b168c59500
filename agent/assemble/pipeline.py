"""One pipeline put together: a camera, a model, and the way to the next model."""

import asyncio
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from agent.adapters.acceptance_files import AcceptanceFiles
from agent.adapters.history_file import HistoryFile
from agent.adapters.machine import cpu
from agent.adapters.machine.sensors import rss_bytes
from agent.adapters.packing_zstd import Zstandard
from agent.adapters.store_files import FileStore
from agent.adapters.tunings_file import TuningsFile
from agent.adapters.veto_file import VetoFile
from agent.assemble.hardware import EDGETPU_CLASS, Hardware, has_edgetpu, lacking
from agent.assemble.installed import program
from agent.assemble.outside import Outside
from agent.assemble.rules import emission_rules, thermal_rules
from agent.assemble.sharing import Sharing, patience
from agent.config import PipelineSettings, Settings, pipelines
from agent.config.pipelines import state_dir
from agent.config.sections import Accept
from agent.core.update.admission import Device
from agent.core.update.windows import parse
from agent.loops.connection import Connection
from agent.loops.heartbeat import Pulse
from agent.loops.keeping.failover import Failover
from agent.loops.keeping.keeper import WorkerKeeper
from agent.loops.release.consult import Host
from agent.loops.release.tuner import Tuner
from agent.loops.release.update import Engine, Update
from agent.loops.telling.chronicle import Chronicle
from agent.loops.telling.meter import Sources
from agent.loops.telling.monitor import Monitor
from agent.loops.telling.news import WorkerNews
from agent.loops.telling.pacer import Pacer
from agent.loops.telling.post import Post
from agent.loops.telling.reporter import Identity, Reporter
from agent.loops.telling.service import Service
from agent.loops.telling.thermal import Thermostat
from agent.ports.accelerator import Accelerator, Sight
from agent.ports.children import Lost
from agent.ports.clock import Clock
from agent.ports.link import Link
from agent.ports.trust import Trust
from agent.wire.commands import Looked
from agent.wire.topics import Root

MEBIBYTE = 1_048_576


@dataclass(frozen=True, slots=True)
class Shared:
    """What all pipelines of a device have in common."""

    settings: Settings
    root: Root
    outside: Outside
    link: Link
    connection: Connection
    post: Post
    trust: Trust
    consulting: asyncio.Lock
    clock: Clock
    facts: Device
    monitor: Monitor
    hardware: Hardware
    accelerator: Accelerator
    lost: Callable[[], None]
    """Told when an Edge TPU has gone."""
    sharing: dict[str, Sharing]
    """By the pipelines that read their camera through a feeder."""
    hidden: tuple[Path, ...]
    """What no child may read."""


class Pipeline:
    def __init__(self, line: PipelineSettings, identity: Identity, shared: Shared) -> None:
        settings = shared.settings
        self.name = line.name
        self._line, self._edgetpu, self._shared = line, shared.hardware.edgetpus[line.name], shared
        self._capabilities = identity.capabilities
        self._patience = patience(line, shared.sharing)
        self._children = shared.outside.children(line, shared.sharing, shared.hidden)
        self.reporter = Reporter(shared.post, shared.clock, identity)
        self.chronicle = Chronicle(HistoryFile(state_dir(settings, line.name) / "history.json"), shared.clock)
        self.store = FileStore(state_dir(settings, line.name), settings.device.free_floor_mib * MEBIBYTE)
        self.worker = Failover(self._keeper(), shared.accelerator)
        self.pacer = Pacer(self.worker)
        self.service = self._service()
        self.thermostat = Thermostat(
            thermal_rules(settings.thermal),
            self.pacer,
            lambda: self.service.predictions,
            shared.clock,
            self.reporter.event,
        )
        self.update = self._update()
        self.news = WorkerNews(self.worker, self.reporter, self.service)
        self.pulse = Pulse(line.name, lambda: self.reporter.told, self._between_s, time.monotonic)

    def _keeper(self) -> WorkerKeeper:
        return WorkerKeeper(
            self._children.worker,
            self._shared.outside.random,
            top=self._shared.settings.telemetry.top,
            patience=self._patience,
        )

    def _service(self) -> Service:
        # Telemetry and evidence have windows of different lengths, and asking ends one.
        telemetry, evidence = self._shared.monitor.window(), self._shared.monitor.window()
        lately = self._shared.monitor.window()
        sources = Sources(
            rss=lambda: rss_bytes(self.worker.pid),
            close_vitals=telemetry.close,
            limit=lambda: self.pacer.limit,
            throttled=evidence.ask_throttled,
            throttled_lately=lately.ask_throttled,
            restarts=lambda: {cause.value: count for cause, count in self.worker.causes.items() if count},
        )
        window_s, rules = self._shared.settings.telemetry.window_s, emission_rules(self._line.emission)
        return Service(self.reporter, self._shared.clock, sources, window_s, rules)

    def _update(self) -> Update:
        shared, runtime = self._shared, self._line.runtime
        return Update(
            link=shared.link,
            connection=shared.connection,
            topics=shared.root,
            store=self.store,
            packing=Zstandard(),
            trust=shared.trust,
            consulting=shared.consulting,
            clock=shared.clock,
            worker=self.worker,
            spawn_canary=self._children.canary,
            accelerator=shared.accelerator,
            tuner=self._tuner(),
            service=self.service,
            reporter=self.reporter,
            host=self._host(shared.hardware.sight),
            engine=Engine(
                runtime.kind, runtime.threads, runtime.delegate, self._edgetpu, program(self._capabilities)
            ),
            stream=self._line.stream,
            recheck_s=shared.settings.update.recheck_s,
            veto=VetoFile(shared.settings.veto_path),
            windows=tuple(parse(text) for text in shared.settings.update.windows),
            rate_bytes_s=shared.settings.update.rate_bytes_s / len(pipelines(shared.settings)),
            word=self._word(),
        )

    def _word(self) -> AcceptanceFiles | None:
        asked = self._shared.settings.update.accept is Accept.ASKED
        return AcceptanceFiles(state_dir(self._shared.settings, self.name)) if asked else None

    def _tuner(self) -> Tuner:
        return Tuner(
            TuningsFile(state_dir(self._shared.settings, self.name) / "tunings.json"),
            runtime=self._capabilities.runtime,
            host=cpu.describe(),
            cores=cpu.cores(),
        )

    def _between_s(self) -> float:
        """The longest time between two predictions that is still no silence."""
        fps_max = self.pacer.limit.fps_max
        return self._patience.frame_s + (1 / fps_max if fps_max else 0.0)

    def bind(self) -> None:
        """Once the loop runs: let the parts hear of each other."""
        self.service.bind(self.update.feed)
        self._shared.monitor.listen(self.thermostat.look)
        self._shared.monitor.listen(self.service.look)
        self.reporter.watch(self.chronicle)
        self.worker.observe(self.service.observe)
        self.worker.observe(self.pulse.observe)
        self.worker.on_crash(self.pulse.crashed)
        self.worker.watch(lambda happening: self._shared.lost() if isinstance(happening, Lost) else None)
        self._require(self._shared.hardware.sight)

    def equip(self, sight: Sight) -> None:
        """There are other Edge TPUs than before. A device that has had one stays in that class for rollouts:
        a loose plug must not move it between waves.
        """
        hardware = EDGETPU_CLASS if sight.tpus else self._capabilities.hardware
        self._capabilities = replace(self._capabilities, hardware=hardware, edgetpu=sight.names)
        self.reporter.equip(self._capabilities)
        self._require(sight)
        self.update.equip(self._host(sight))

    def configure(self, settings: Settings, line: PipelineSettings) -> None:
        """Take over what can change while the agent runs."""
        self.service.configure(settings.telemetry.window_s, emission_rules(line.emission))
        self.thermostat.configure(thermal_rules(settings.thermal))

    async def look(self) -> Looked:
        """Look for accelerators anew, and measure the active release again."""
        sight = await self._shared.accelerator.look(self._edgetpu)
        self.equip(sight)
        self.update.remeasure()
        return self.reporter.looked()

    def _host(self, sight: Sight) -> Host:
        return Host(
            dataclasses.replace(self._shared.facts, hardware=self._capabilities.hardware),
            edgetpu=has_edgetpu(sight, self._edgetpu),
            runtime_version=self._capabilities.runtime,
            wanted=self._line.runtime.delegate,
        )

    def _require(self, sight: Sight) -> None:
        self.news.require(lacking(self._line, present=has_edgetpu(sight, self._edgetpu)))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.worker.run(), name=f"{self.name} worker")
            group.create_task(self.update.run(), name=f"{self.name} update")
            group.create_task(self.service.run(), name=f"{self.name} telemetry")
            group.create_task(self.reporter.run(), name=f"{self.name} report")
            group.create_task(self.chronicle.run(), name=f"{self.name} history")
