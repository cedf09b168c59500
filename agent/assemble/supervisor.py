"""The daemon put together: the only place that knows which adapters a device has."""

import asyncio
import contextlib
import functools
import logging
import platform
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from agent.adapters import cage_linux
from agent.adapters.lock_folder import exclusive
from agent.adapters.trust_tuf import TufTrust
from agent.assemble import hardware, logs, outside
from agent.assemble.children import private
from agent.assemble.commands import remote
from agent.assemble.hardware import Hardware
from agent.assemble.homeassistant import configure, homeassistant
from agent.assemble.monitor import monitor
from agent.assemble.outboxes import open_outboxes
from agent.assemble.outside import Outside
from agent.assemble.page import Page, shown
from agent.assemble.pipeline import Pipeline, Shared
from agent.assemble.reload import Reload
from agent.assemble.rules import hot_rule
from agent.assemble.sharing import shared_cameras
from agent.assemble.signets import signet
from agent.config import Settings, pipelines
from agent.core.update.admission import Device
from agent.loops.connection import Connection
from agent.loops.heartbeat import Heartbeat
from agent.loops.keeping.hardware import HardwareWatch
from agent.loops.telling.onlookers import About
from agent.loops.telling.post import Post
from agent.loops.telling.presence import Presence, new_session, will
from agent.loops.telling.reporter import Identity
from agent.loops.telling.roundtrip import TimedLink
from agent.loops.telling.upstream import Upstream
from agent.ports.accelerator import Sight
from agent.ports.link import Down, LinkState, Up
from agent.wire import topics
from agent.wire.errors import AgentError, ConfigError, RuntimeMissing
from agent.wire.ipc import EdgeTpu
from agent.wire.reports import Capabilities
from agent.wire.topics import DeviceId

log = logging.getLogger(__name__)

EXIT_SOFTWARE = 70
"""EX_SOFTWARE of sysexits.h: the service manager starts it again."""
RUNTIME_PACKAGES = {"litert": ("ai-edge-litert",), "tflite": ("tflite-runtime",)}


def run(settings: Settings, config: Path, *, verbose: bool) -> int:
    """Serve until SIGTERM or SIGINT; the exit status.

    Args:
        settings: what the file `config` says.
        config: the file.
        verbose: whether to log what is of use only for finding faults.

    Raises:
        ConfigError: a file that the configuration names is missing or unusable, or another agent runs here.
        StoreFailed: the state folder cannot be used.
    """
    cage_linux.shield()
    ring = logs.start(verbose=verbose or settings.log.verbose)
    with exclusive(Path(settings.device.state_dir)):
        try:
            found = hardware.look(tuple(pipelines(settings)))
            asyncio.run(Agent(settings, config, ring, found, outside.real(settings)).run())
        except ExceptionGroup as group:
            expected, bugs = group.split(AgentError)
            if bugs is None and expected is not None:
                raise _first(expected) from None
            log.critical("agent.failed", exc_info=bugs)
            return EXIT_SOFTWARE
    return 0


def _first(group: ExceptionGroup[AgentError]) -> AgentError:
    """Groups of tasks stand in groups of tasks."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, ExceptionGroup) else inner


class Agent:
    """What the pipelines share, and the order in which everything comes up and goes down."""

    def __init__(
        self, settings: Settings, config: Path, ring: logs.Ring, found: Hardware, outside: Outside
    ) -> None:
        device, state = DeviceId(settings.device.id), Path(settings.device.state_dir)
        root, clock = topics.root(settings.broker.root), outside.clock
        capabilities = _capabilities(settings, found, outside.machine)
        accelerator = outside.accelerator
        self._watch = HardwareWatch(accelerator, found.asked or EdgeTpu(), found.sight, self._equip)
        self._watches = found.asked is not None
        session, sealing = new_session(), signet(settings)
        link = outside.link(will(root, device, session, sealing))
        self._connection = Connection(link)
        self._mail = open_outboxes(settings, link, self._connection, clock)
        timed = TimedLink(link, clock)
        self._monitor = monitor(settings, outside.host, clock, timed, self._mail)
        self._trust = TufTrust(
            link, root, state / "trust", _pinned(settings.trust.root), clock, settings.trust.timeout_s
        )
        hidden = private.secrets(settings, config)
        sharing = shared_cameras(pipelines(settings), hidden)
        self._shared_cameras = tuple({each.of: each for each in sharing.values()}.values())
        shared = Shared(
            settings=settings,
            root=root,
            outside=outside,
            link=link,
            connection=self._connection,
            post=Post(timed, self._mail, session, sealing),
            trust=self._trust,
            consulting=asyncio.Lock(),
            clock=clock,
            facts=Device(
                id=device,
                hardware=capabilities.hardware,
                agent=capabilities.agent,
                tags=frozenset(settings.device.tags),
            ),
            monitor=self._monitor,
            hardware=found,
            accelerator=accelerator,
            lost=self._watch.forget,
            sharing=sharing,
            hidden=hidden,
        )
        self._presence = Presence(shared.post, root, device, session, clock.now, settings.broker.beat_s)
        self._pipelines = tuple(
            Pipeline(line, Identity(root, device, line.name, capabilities, line.stream), shared)
            for line in pipelines(settings)
        )
        self._upstream, self._window_s = Upstream(clock), settings.telemetry.window_s
        about = About(device, capabilities.agent, lambda: self._window_s, self._upstream)
        self._page = Page(settings.web, about, tuple(map(shown, self._pipelines)), clock)
        self._home = homeassistant(shared, self._pipelines, capabilities)
        self._commands = remote(shared, self._pipelines, ring, config)
        self._takes_commands, self._verbose = settings.commands.enabled, settings.log.verbose
        self._heartbeat = Heartbeat(
            outside.notify,
            [pipeline.pulse for pipeline in self._pipelines],
            lambda: link.alive,
            time.monotonic,
        )
        self._reload = Reload(
            config,
            settings,
            self._configure,
            self._pipelines[0].reporter.event,
            self._heartbeat.reloading,
        )

    async def run(self) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.ask)
        # A storm of signals fills asyncio's pipe, and Python would print a traceback for each that is over.
        signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
        await self.serve(stopped)

    async def serve(self, stopped: asyncio.Event) -> None:
        """Until `stopped` is set; then an orderly end."""
        loop = asyncio.get_running_loop()
        for pipeline in self._pipelines:
            pipeline.bind()
        self._monitor.bind(self._pipelines[0].reporter.event)
        self._connection.watch(self._upstream.turned)
        self._connection.watch(_Told(self._presence, self._pipelines).turn)
        if self._takes_commands:
            self._commands.listen()
        self._connection.open()
        self._trust.watch(lambda: _on_loop(loop, self._poke))
        try:
            async with self._mail.drain.delivering():
                await self._serve_pipelines(stopped)
        finally:
            self._presence.leaving(orderly=stopped.is_set())
            await self._connection.close()
            self._mail.drain.close()
            for each in self._shared_cameras:
                each.close()
        for pipeline in self._pipelines:
            await asyncio.to_thread(pipeline.store.mark_stopped)
        log.info("agent.stopped")

    def _equip(self, sight: Sight) -> None:
        for pipeline in self._pipelines:
            pipeline.equip(sight)

    def _poke(self) -> None:
        for pipeline in self._pipelines:
            pipeline.update.poke()

    def _configure(self, settings: Settings) -> None:
        """Take over what can change while the agent runs: see `agent.config.changes`."""
        for pipeline, line in zip(self._pipelines, pipelines(settings), strict=True):
            pipeline.configure(settings, line)
        self._monitor.configure(hot_rule(settings.thermal), settings.telemetry.window_s)
        self._window_s = settings.telemetry.window_s
        self._page.configure(settings.web)
        configure(self._home, settings)
        self._mail.drain.configure(settings.outbox.drain_per_s)
        self._commands.allow(settings.commands.per_minute)
        if settings.commands.enabled != self._takes_commands:
            self._takes_commands = settings.commands.enabled
            turn = self._commands.listen if self._takes_commands else self._commands.deafen
            turn()
        # The option --verbose stands until the file says something else.
        if settings.log.verbose != self._verbose:
            self._verbose = settings.log.verbose
            logs.configure(verbose=self._verbose)

    async def _serve_pipelines(self, stopped: asyncio.Event) -> None:
        """Until it is told to stop, or one of its tasks ends, which none may do by itself."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(pipeline.run(), name=f"pipeline {pipeline.name}")
                for pipeline in self._pipelines
            ]
            tasks += [
                group.create_task(each.keeper.run(), name=f"feeder {each.of}")
                for each in self._shared_cameras
            ]
            tasks.append(group.create_task(self._heartbeat.run(), name="heartbeat"))
            tasks.append(group.create_task(self._presence.run(), name="presence"))
            if self._watches:
                tasks.append(group.create_task(self._watch.run(), name="hardware"))
            tasks.append(group.create_task(self._monitor.run(), name="vitals"))
            tasks.append(group.create_task(self._commands.run(), name="commands"))
            tasks.append(group.create_task(self._home.run(), name="homeassistant"))
            tasks.append(group.create_task(self._reload.run(), name="reload"))
            tasks.append(group.create_task(self._page.run(), name="page"))
            await stopped.wait()
            log.info("agent.stopping")
            self._heartbeat.stopping()
            self._trust.close()
            for task in tasks:
                task.cancel()


class _Told:
    """The link's changes: logged once when it goes and once when it returns, with the time between."""

    def __init__(self, presence: Presence, pipelines: Sequence[Pipeline]) -> None:
        self._presence, self._pipelines = presence, pipelines
        self._down_at: float | None = None

    def turn(self, state: LinkState) -> None:
        now_s = asyncio.get_running_loop().time()
        match state:
            case Up(place=place):
                away_s = 0.0 if self._down_at is None else now_s - self._down_at
                log.info("link.up", extra={"away_s": round(away_s, 1), "broker": place})
                self._down_at = None
                self._presence.connected(place)
                for pipeline in self._pipelines:
                    pipeline.reporter.connected()
                    pipeline.update.poke()
            case Down(reason) if self._down_at is None:
                log.warning("link.down", extra={"reason": reason})
                self._down_at = now_s
                self._presence.disconnected()
            case Down():
                pass


def _on_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    # The link's thread may outlive the loop by a moment when everything ends.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)


def _pinned(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the pinned root of trust {path}: {error.strerror}; copy root.json from the operator's workspace"
        ) from error


def _capabilities(settings: Settings, found: Hardware, machine: str) -> Capabilities:
    return Capabilities(
        hardware=found.device_class,
        edgetpu=found.sight.names,
        machine=machine,
        python=platform.python_version(),
        runtime=_runtime_version(settings.runtime.kind),
        agent=_agent_version(),
    )


@functools.cache
def _agent_version() -> str:
    return version("shoal")


@functools.cache
def _runtime_version(kind: str) -> str:
    """Asked of the package's metadata: the supervisor never imports a runtime."""
    for package in _candidates(kind):
        with contextlib.suppress(PackageNotFoundError):
            return f"{package} {version(package)}"
    raise RuntimeMissing(
        f"runtime {kind!r}: none of {', '.join(_candidates(kind))} is installed; pip install ai-edge-litert, "
        "or shoal[tflite] on 32-bit ARM with Python 3.11"
    )


def _candidates(kind: str) -> Iterator[str]:
    for name, packages in RUNTIME_PACKAGES.items():
        if kind in {"auto", name}:
            yield from packages
