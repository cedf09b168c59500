"""One pipeline put together: a camera, a model, and the way to the next model."""

import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path

from agent.adapters import child_process
from agent.adapters.host_linux import rss_bytes
from agent.adapters.link_mqtt import MqttLink
from agent.adapters.store_files import FileStore
from agent.assemble.canary import CanarySettings
from agent.assemble.rules import emission_rules, thermal_rules
from agent.assemble.worker import WorkerSettings
from agent.config import PipelineSettings, Settings
from agent.core.admission import Device
from agent.loops.connection import Connection
from agent.loops.consult import Host
from agent.loops.heartbeat import Pulse
from agent.loops.keeper import WorkerKeeper
from agent.loops.meter import Sources
from agent.loops.pacer import Pacer
from agent.loops.post import Post
from agent.loops.reporter import Identity, Reporter
from agent.loops.service import Service
from agent.loops.thermal import Thermostat
from agent.loops.update import Engine, Update
from agent.loops.vitals import Monitor
from agent.ports.clock import Clock
from agent.ports.trust import Trust
from agent.wire.commands import Looked
from agent.wire.errors import Unavailable
from agent.wire.topics import MAIN, Root

MEBIBYTE = 1_048_576


@dataclass(frozen=True, slots=True)
class Shared:
    """What all pipelines of a device have in common."""

    settings: Settings
    root: Root
    link: MqttLink
    connection: Connection
    post: Post
    trust: Trust
    consulting: asyncio.Lock
    clock: Clock
    facts: Device
    monitor: Monitor


class Pipeline:
    def __init__(self, line: PipelineSettings, identity: Identity, shared: Shared) -> None:
        settings = shared.settings
        self.name = line.name
        self._monitor = shared.monitor
        self.store = FileStore(state_dir(settings, line.name), settings.device.free_floor_mib * MEBIBYTE)
        self.reporter = Reporter(shared.post, shared.clock, identity)
        worker = child_process.command("worker", WorkerSettings(camera=line.camera))
        self.worker = WorkerKeeper(
            child_process.StartWorker(worker),
            random.Random(),  # noqa: S311 - jitter
            top=settings.telemetry.top,
        )
        self.pacer = Pacer(self.worker)
        self.service = Service(
            self.reporter,
            shared.clock,
            Sources(
                rss=lambda: rss_bytes(self.worker.pid),
                close_vitals=shared.monitor.window().close,
                limit=lambda: self.pacer.limit,
            ),
            settings.telemetry.window_s,
            emission_rules(line.emission),
        )
        self.thermostat = Thermostat(
            thermal_rules(settings.thermal),
            self.pacer,
            lambda: self.service.predictions,
            shared.clock,
            self.reporter.event,
        )
        self.update = Update(
            link=shared.link,
            connection=shared.connection,
            topics=shared.root,
            store=self.store,
            trust=shared.trust,
            consulting=shared.consulting,
            clock=shared.clock,
            worker=self.worker,
            spawn_canary=child_process.StartCanary(child_process.command("canary", CanarySettings())),
            service=self.service,
            reporter=self.reporter,
            host=Host(shared.facts, edgetpu=False, runtime_version=identity.capabilities.runtime),
            engine=Engine(line.runtime.kind, line.runtime.threads or 1),
            stream=line.stream,
            recheck_s=settings.update.recheck_s,
        )

        self.pulse = Pulse(line.name, lambda: self.reporter.told, time.monotonic)

    def bind(self) -> None:
        """Once the loop runs: let the parts hear of each other."""
        self.service.bind(self.update.feed)
        self._monitor.listen(self.thermostat.look)
        self.worker.observe(self.service.observe)
        self.worker.observe(self.pulse.observe)
        self.worker.on_crash(self.pulse.crashed)
        self.worker.on_crash(lambda detail: self.service.crashed(self.worker.restarts, detail))

    async def look(self) -> Looked:
        """Look for accelerators anew."""
        raise Unavailable("this agent cannot look for accelerators yet")

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.worker.run(), name=f"{self.name} worker")
            group.create_task(self.update.run(), name=f"{self.name} update")
            group.create_task(self.service.run(), name=f"{self.name} telemetry")


def state_dir(settings: Settings, name: str) -> Path:
    """Each pipeline keeps its own models: what one of them refuses is no concern of another."""
    state = Path(settings.device.state_dir)
    return state if name == MAIN else state / "pipelines" / name
