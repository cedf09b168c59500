"""What an agent touches of the world, put together: the real thing, unless somebody brings another.

A simulated fleet runs this very agent many times in one process, and replaces no more than what stands here.
"""

import platform
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.adapters import child_process
from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import MqttLink
from agent.adapters.machine.sensors import LinuxHost
from agent.adapters.notify_systemd import SystemdNotify
from agent.assemble import edgetpu
from agent.assemble.children import private
from agent.assemble.links import link_settings
from agent.assemble.sharing import Sharing, start_worker
from agent.config import PipelineSettings, Settings
from agent.loops.keeping.keeper import Random, Spawn
from agent.ports.accelerator import Accelerator
from agent.ports.children import SpawnCanary
from agent.ports.clock import Clock
from agent.ports.host import Host
from agent.ports.link import Link, Outgoing
from agent.ports.notify import Notify
from agent.wire.topics import DeviceId


class LiveLink(Link, Protocol):
    @property
    def alive(self) -> bool:
        """Whether what moves its messages runs; it does from `open` to `close`."""
        ...


@dataclass(frozen=True, slots=True)
class Children:
    """How a pipeline's two child processes are started."""

    worker: Spawn
    canary: SpawnCanary


@dataclass(frozen=True, slots=True)
class Outside:
    link: Callable[[Outgoing], LiveLink]
    """With this last will."""
    clock: Clock
    host: Host
    notify: Notify
    accelerator: Accelerator
    random: Random
    machine: str
    children: Callable[[PipelineSettings, dict[str, Sharing], tuple[Path, ...]], Children]
    """Of a pipeline, with the cameras that are shared, and what no child may read."""


def real(settings: Settings) -> Outside:
    """This very host.

    Raises:
        ConfigError: the broker's section is wrong.
    """
    device = DeviceId(settings.device.id)
    return Outside(
        link=lambda will: MqttLink(link_settings(settings.broker, device, will)),
        clock=SystemClock(),
        host=LinuxHost(Path(settings.device.state_dir)),
        notify=SystemdNotify(),
        accelerator=edgetpu.accelerator(),
        random=random.Random(),  # noqa: S311 - jitter
        machine=platform.machine(),
        children=_processes,
    )


def _processes(line: PipelineSettings, sharing: dict[str, Sharing], hidden: tuple[Path, ...]) -> Children:
    return Children(
        start_worker(line, sharing, hidden),
        child_process.StartCanary(child_process.command("canary"), private.told(hidden)),
    )
