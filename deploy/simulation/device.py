"""One device: the agent itself, in a world of which camera, runtime, host and socket are made up."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from agent.adapters.clock_system import SystemClock
from agent.assemble.hardware import Hardware
from agent.assemble.logs import Ring
from agent.assemble.outside import Children, Outside
from agent.assemble.supervisor import Agent
from agent.config import Broker, Device, Emission, EmissionMode, Runtime, Settings, Telemetry, Trust
from agent.core.edgetpu.words import Bus, Ready, Tpu
from agent.core.telemetry.vitals import Gauges
from agent.ports.accelerator import Sight
from agent.ports.link import Outgoing
from agent.ports.notify import Word
from agent.wire.errors import AgentError
from agent.wire.ipc import EdgeTpu
from agent.wire.topics import MAIN, DeviceId
from deploy.simulation import scenario
from deploy.simulation.children import Mind, SimulatedWorker, canaries
from deploy.simulation.link import FleetLink
from deploy.simulation.packets import Hello
from deploy.simulation.scenario import Fate, Group
from deploy.simulation.wire import Dial, Traffic

log = logging.getLogger(__name__)

KEEPALIVE_S: Final = 30
TRUST_TIMEOUT_S: Final = 20.0
REBOOT_S: Final = 1.0
_TPU: Final = Tpu(Bus.USB, 0, "/sys/bus/usb/devices/simulated")


@dataclass(frozen=True, slots=True)
class Place:
    """What all devices of a process have in common."""

    host: str
    port: int
    root: str
    trusted: Path
    """The pinned root of trust."""
    keys: Path
    """The folder with the devices' seal keys."""
    fps: float
    telemetry_s: float
    traffic: Traffic = field(default_factory=Traffic)
    username: str | None = None
    password: str | None = None


class SkewedClock(SystemClock):
    """A device's own idea of the time."""

    def __init__(self, clock: scenario.Clock) -> None:
        super().__init__()
        self._offset, self._synchronized = timedelta(seconds=clock.offset_s), clock.synchronized

    def now(self) -> datetime:
        return super().now() + self._offset

    def synchronized(self) -> bool:
        return self._synchronized


class CalmHost:
    """See `agent.ports.host.Host`."""

    def read(self) -> Gauges:
        return Gauges(soc_c=50.0, memory_available_bytes=1 << 29, disk_free_bytes=1 << 33)


class Nobody:
    """See `agent.ports.notify.Notify`: no service manager listens."""

    watchdog_s: float | None = None

    def tell(self, *words: Word) -> None:
        del words


@dataclass(frozen=True, slots=True)
class Plugged:
    """See `agent.ports.accelerator.Accelerator`: what is there works."""

    sight: Sight

    async def look(self, edgetpu: EdgeTpu, *, opening: bool = False) -> Sight:
        del edgetpu, opening
        return self.sight


class SimulatedDevice:
    """Switched on and off as often as wanted; its folder is its card."""

    def __init__(self, device: DeviceId, group: Group, mind: Mind, folder: Path, place: Place) -> None:
        self.id, self.group, self.mind = device, group, mind
        self._folder, self._place = folder, place
        self._link: FleetLink | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        self._ending: set[asyncio.Task[None]] = set()
        self.gone = False
        """For good."""
        self.broken = ""
        """What ended the agent, and should not have."""
        self.on_lie: Callable[[DeviceId], None] = lambda _: None
        mind.befall = self._befall

    @property
    def there(self) -> bool:
        return self._task is not None and not self._task.done()

    def switch_on(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._stopped = asyncio.Event()
        agent = Agent(
            self._settings(), self._folder / "device.toml", Ring(), self._hardware(), self._outside()
        )
        self._task = asyncio.create_task(self._serve(agent, self._stopped), name=self.id)

    def cut_power(self) -> None:
        """Nothing is said, nothing is finished."""
        if self._link is not None:
            self._link.perish()
        self._end()

    def freeze(self) -> None:
        if self._link is not None:
            self._link.freeze()
        self._end()

    def cut_line(self) -> None:
        if self._link is not None and self.there:
            self._link.cut()

    async def switch_off(self) -> None:
        """An orderly end."""
        self._stopped.set()
        tasks = [*self._ending, *([self._task] if self._task is not None else [])]
        if tasks:
            await asyncio.wait(tasks)

    def _end(self) -> None:
        self._stopped.set()
        if self._task is not None:
            self._ending.add(self._task)
            self._task.add_done_callback(self._ending.discard)
            self._task = None

    async def _serve(self, agent: Agent, stopped: asyncio.Event) -> None:
        try:
            await agent.serve(stopped)
        except* AgentError as group:
            self.broken = f"{self.id}: {group.exceptions[0]}"
            log.error("device.failed", extra={"device": self.id, "error": self.broken})  # noqa: TRY400 - said in full

    def _befall(self, fate: Fate) -> None:
        match fate:
            case Fate.HANGS:
                self.gone = True
                self.freeze()
            case Fate.DIES | Fate.LIES:
                self.gone = True
                self.cut_power()
                if fate is Fate.LIES:
                    self.on_lie(self.id)
            case Fate.REBOOTS:
                asyncio.create_task(self.reboot(REBOOT_S))  # noqa: RUF006 - the device's own tasks hold it
            case _:
                pass

    async def reboot(self, away_s: float) -> None:
        """A power cut, and the power comes back."""
        task = self._task
        self.cut_power()
        if task is not None:
            await asyncio.wait([task])
        with suppress(FileNotFoundError):
            # An agent in its own process would not have come to take it away.
            (self._folder / "running").touch()
        await asyncio.sleep(away_s)
        if not self.gone and not self.there:
            self.switch_on()

    def _settings(self) -> Settings:
        place = self._place
        return Settings(
            device=Device(
                id=self.id,
                state_dir=str(self._folder),
                tags=self.group.tags,
                free_floor_mib=0,
                seal_key_file=str(place.keys / f"{self.id}.seal"),
            ),
            broker=Broker(url=f"mqtt://{place.host}:{place.port}", root=place.root),
            trust=Trust(root=str(place.trusted), timeout_s=TRUST_TIMEOUT_S),
            runtime=Runtime(threads=1),
            emission=Emission(mode=EmissionMode.CHANGE, at_most_per_s=0.1, heartbeat_s=60.0),
            telemetry=Telemetry(window_s=place.telemetry_s),
        )

    def _hardware(self) -> Hardware:
        tpus = (_TPU,) if self.group.hardware == "edgetpu" else ()
        sight = Sight(tpus, Ready(tpus), opened=bool(tpus))
        return Hardware(sight, {MAIN: EdgeTpu()}, asked=None)

    def _outside(self) -> Outside:
        clock = SkewedClock(self.group.clock)
        return Outside(
            link=self._dial,
            clock=clock,
            host=CalmHost(),
            notify=Nobody(),
            accelerator=Plugged(self._hardware().sight),
            random=random.Random(),  # noqa: S311 - jitter
            machine="aarch64",
            children=lambda *_: Children(lambda: self._worker(clock), canaries(self.mind)),
        )

    async def _worker(self, clock: SystemClock) -> SimulatedWorker:
        return SimulatedWorker(self.mind, self._place.fps, clock.now)

    def _dial(self, will: Outgoing) -> FleetLink:
        place, line = self._place, self.group.line
        hello = Hello(f"shoal-{self.id}", KEEPALIVE_S, will, place.username, place.password)
        dial = Dial(place.host, place.port, hello, rate_bytes_s=line.rate_bytes_s)
        self._link = FleetLink(dial, asyncio.get_running_loop(), place.traffic)
        return self._link
