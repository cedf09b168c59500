"""The devices of one process: switched on, befallen by what the scenario says, watched."""

import asyncio
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from deploy.simulation import scenario, telling
from deploy.simulation.children import Mind
from deploy.simulation.device import Place, SimulatedDevice
from deploy.simulation.impostor import Impostor
from deploy.simulation.meter import usage
from deploy.simulation.scenario import Presence
from deploy.simulation.telling import CANDIDATE, STABLE, Begun, Ended, Post, Sample, Served, Whereabouts

THREADS: Final = 16
"""Where devices read their signed metadata: each waits there for its broker."""
START_EVERY_S: Final = 0.002
"""A Mosquitto accepts 100 connections at a time."""
AT_ONCE: Final = 64


class Holding:
    """Everything here runs on one event loop."""

    def __init__(self, post: Post) -> None:
        self._post = post
        password = post.password_file
        self._place = Place(
            host=post.host,
            port=post.port,
            root=post.root,
            trusted=Path(post.trusted),
            keys=Path(post.keys),
            fps=post.scenario.fleet.fps,
            telemetry_s=post.scenario.fleet.telemetry_s,
            username=post.username,
            password=None if password is None else Path(password).read_text().rstrip("\r\n"),
        )
        self._impostor = Impostor(self._place)
        self._devices = tuple(self._made())
        self._life: list[asyncio.Task[None]] = []
        self._random = random.Random(f"{post.seed}/{post.first}")  # noqa: S311 - a simulation

    def _made(self) -> Iterator[SimulatedDevice]:
        post, groups = self._post, scenario.groups(self._post.scenario.fleet, self._post.devices)
        behaviours = {STABLE: post.scenario.stable, CANDIDATE: post.scenario.candidate}
        for number in range(post.first, post.last):
            device = telling.device_id(number)
            struck = {v: scenario.struck(b, post.seed, device) for v, b in behaviours.items()}
            faults = {version: fault for version, fault in struck.items() if fault is not None}
            mind = Mind(device, post.seed, behaviours, faults)
            made = SimulatedDevice(device, groups[number], mind, Path(post.folder) / device, self._place)
            made.on_lie = self._impostor.speak_for
            yield made

    async def switch_on(self) -> None:
        """All of them, in the order of a hash, so that no group comes last."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(THREADS))
        for device in self._devices:
            device.switch_on()
            await asyncio.sleep(START_EVERY_S)

    def hear(self, word: Served | Begun) -> None:
        match word:
            case Served():
                self._life = [
                    asyncio.create_task(life)
                    for device in self._devices
                    for life in (self._presence(device), self._outages(device), self._cuts(device))
                ]
            case Begun():
                self._impostor.learn(word)

    async def switch_off(self) -> Ended:
        told = tuple(self._whereabouts(device) for device in self._devices)
        for task in self._life:
            task.cancel()
        self._impostor.close()
        for at in range(0, len(self._devices), AT_ONCE):
            await asyncio.gather(*(device.switch_off() for device in self._devices[at : at + AT_ONCE]))
        return Ended(devices=told, peak_bytes=usage(os.getpid()).peak_bytes)

    def sample(self) -> Sample:
        minds, traffic = [device.mind for device in self._devices], self._place.traffic
        return Sample(
            there=sum(device.there for device in self._devices),
            on_stable=sum(mind.serves == STABLE for mind in minds),
            on_candidate=sum(mind.serves == CANDIDATE for mind in minds),
            exposed=sum(CANDIDATE in mind.met for mind in minds),
            fallen=sum(CANDIDATE in mind.fallen for mind in minds),
            broken=next((device.broken for device in self._devices if device.broken), ""),
            cpu_s=time.process_time(),
            sent_bytes=traffic.sent_bytes,
            received_bytes=traffic.received_bytes,
            sent_messages=traffic.sent_messages,
            received_messages=traffic.received_messages,
            connects=traffic.connects,
        )

    def _whereabouts(self, device: SimulatedDevice) -> Whereabouts:
        mind = device.mind
        return Whereabouts(
            device=device.id,
            group=self._post.scenario.fleet.group.index(device.group),
            there=device.there,
            serves=mind.serves if device.there else "",
            exposed=CANDIDATE in mind.met,
            fate=mind.fallen.get(CANDIDATE),
        )

    async def _presence(self, device: SimulatedDevice) -> None:
        there: Presence = device.group.presence
        if there.leaves_at_s is None:
            return
        await asyncio.sleep(there.leaves_at_s)
        if device.there:
            device.cut_power()
        if there.returns_at_s is not None:
            await asyncio.sleep(there.returns_at_s - there.leaves_at_s)
            if not device.gone:
                device.switch_on()

    async def _outages(self, device: SimulatedDevice) -> None:
        there = device.group.presence
        while there.outage_every_s and not device.gone:
            await asyncio.sleep(self._random.expovariate(1.0 / there.outage_every_s))
            if device.there:
                await device.reboot(there.outage_s)

    async def _cuts(self, device: SimulatedDevice) -> None:
        every_s = device.group.line.cut_every_s
        while every_s and not device.gone:
            await asyncio.sleep(self._random.expovariate(1.0 / every_s))
            device.cut_line()
