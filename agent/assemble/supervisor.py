"""The daemon put together: the only place that knows which adapters a device has."""

import asyncio
import contextlib
import logging
import platform
import random
import signal
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from agent.adapters import child_process
from agent.adapters.clock_system import SystemClock
from agent.adapters.host_linux import rss_bytes
from agent.adapters.link_mqtt import MqttLink
from agent.adapters.lock_folder import exclusive
from agent.adapters.store_files import FileStore
from agent.adapters.trust_tuf import TufTrust
from agent.assemble import logs
from agent.assemble.canary import CanarySettings
from agent.assemble.links import link_settings
from agent.assemble.worker import WorkerSettings
from agent.config import Settings
from agent.core.admission import Device
from agent.loops.connection import Connection
from agent.loops.consult import Host
from agent.loops.keeper import WorkerKeeper
from agent.loops.reporter import Identity, Reporter, new_session, will
from agent.loops.service import Service
from agent.loops.update import Engine, Update
from agent.ports.link import Down, LinkState, Up
from agent.wire import topics
from agent.wire.documents import Capabilities
from agent.wire.errors import AgentError, ConfigError, RuntimeMissing
from agent.wire.topics import DeviceId

log = logging.getLogger(__name__)

MEBIBYTE = 1_048_576
EXIT_SOFTWARE = 70
"""EX_SOFTWARE of sysexits.h: the service manager starts it again."""
RUNTIME_PACKAGES = {"litert": ("ai-edge-litert",), "tflite": ("tflite-runtime",)}


def run(settings: Settings, *, verbose: bool) -> int:
    """Serve until SIGTERM or SIGINT; the exit status.

    Raises:
        ConfigError: a file that the configuration names is missing or unusable, or another agent runs here.
        StoreFailed: the state folder cannot be used.
    """
    logs.start(verbose=verbose)
    with exclusive(Path(settings.device.state_dir)):
        try:
            asyncio.run(Agent(settings).run())
        except ExceptionGroup as group:
            expected, bugs = group.split(AgentError)
            if bugs is None and expected is not None:
                raise expected.exceptions[0] from None
            log.critical("agent.failed", exc_info=bugs)
            return EXIT_SOFTWARE
    return 0


class Agent:
    """Everything of the supervisor, and the order in which it comes up and goes down."""

    def __init__(self, settings: Settings) -> None:
        device, state = DeviceId(settings.device.id), Path(settings.device.state_dir)
        self._root = topics.root(settings.broker.root)
        capabilities = _capabilities(settings)
        identity = Identity(self._root, device, new_session(), capabilities)
        clock = SystemClock()
        self._link = MqttLink(
            link_settings(settings.broker, device, will(self._root, device, identity.session))
        )
        self._store = FileStore(state, settings.device.free_floor_mib * MEBIBYTE)
        self._trust = TufTrust(
            self._link,
            self._root,
            state / "trust",
            _pinned(settings.trust.root),
            clock,
            settings.trust.timeout_s,
        )
        self._reporter = Reporter(self._link, clock, identity)
        self._worker = _keeper(settings)
        self._service = Service(
            self._reporter, clock, lambda: rss_bytes(self._worker.pid), settings.telemetry.window_s
        )
        self._settings, self._clock, self._device, self._capabilities = settings, clock, device, capabilities

    async def run(self) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        connection = Connection(self._link)
        update = self._update(connection)
        self._service.bind(update.feed)
        self._worker.observe(self._service.observe)
        self._worker.on_crash(lambda detail: self._service.crashed(self._worker.restarts, detail))
        connection.watch(_Told(self._reporter, update).turn)
        connection.open()
        self._trust.watch(lambda: _on_loop(loop, update))
        try:
            await self._serve(stopped, update)
        finally:
            self._reporter.leaving()
            await connection.close()
        await asyncio.to_thread(self._store.mark_stopped)
        log.info("agent.stopped")

    async def _serve(self, stopped: asyncio.Event, update: Update) -> None:
        """Until it is told to stop, or one of its tasks ends, which none may do by itself."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._worker.run(), name="worker"),
                group.create_task(update.run(), name="update"),
                group.create_task(self._service.run(), name="telemetry"),
            ]
            await stopped.wait()
            log.info("agent.stopping")
            self._trust.close()
            for task in tasks:
                task.cancel()

    def _update(self, connection: Connection) -> Update:
        settings = self._settings
        facts = Device(
            id=self._device,
            hardware=self._capabilities.hardware,
            agent=self._capabilities.agent,
            tags=frozenset(settings.device.tags),
        )
        return Update(
            link=self._link,
            connection=connection,
            topics=self._root,
            store=self._store,
            trust=self._trust,
            clock=self._clock,
            worker=self._worker,
            spawn_canary=child_process.StartCanary(child_process.command("canary", CanarySettings())),
            service=self._service,
            reporter=self._reporter,
            host=Host(facts, edgetpu=False, runtime_version=self._capabilities.runtime),
            engine=Engine(settings.runtime.kind, settings.runtime.threads),
            stream=settings.update.stream,
            recheck_s=settings.update.recheck_s,
        )


class _Told:
    """The link's changes: logged once when it goes and once when it returns, with the time between."""

    def __init__(self, reporter: Reporter, update: Update) -> None:
        self._reporter, self._update = reporter, update
        self._down_at: float | None = None

    def turn(self, state: LinkState) -> None:
        now_s = asyncio.get_running_loop().time()
        match state:
            case Up():
                away_s = 0.0 if self._down_at is None else now_s - self._down_at
                log.info("link.up", extra={"away_s": round(away_s, 1)})
                self._down_at = None
                self._reporter.connected()
                self._update.poke()
            case Down(reason) if self._down_at is None:
                log.warning("link.down", extra={"reason": reason})
                self._down_at = now_s
            case Down():
                pass


def _on_loop(loop: asyncio.AbstractEventLoop, update: Update) -> None:
    # The link's thread may outlive the loop by a moment when everything ends.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(update.poke)


def _keeper(settings: Settings) -> WorkerKeeper:
    worker = WorkerSettings(camera=settings.camera)
    spawn = child_process.StartWorker(child_process.command("worker", worker))
    return WorkerKeeper(spawn, random.Random(), top=settings.telemetry.top)  # noqa: S311 - jitter


def _pinned(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the pinned root of trust {path}: {error.strerror}; copy root.json from the operator's workspace"
        ) from error


def _capabilities(settings: Settings) -> Capabilities:
    return Capabilities(
        hardware="cpu",
        machine=platform.machine(),
        python=platform.python_version(),
        runtime=_runtime_version(settings.runtime.kind),
        agent=version("shoal"),
    )


def _runtime_version(kind: str) -> str:
    """Asked of the package's metadata: the supervisor never imports a runtime."""
    for package in _candidates(kind):
        with contextlib.suppress(PackageNotFoundError):
            return f"{package} {version(package)}"
    raise RuntimeMissing(
        f"runtime {kind!r}: none of {', '.join(_candidates(kind))} is installed; pip install ai-edge-litert, "
        "or shoal[tflite] on 32-bit ARM"
    )


def _candidates(kind: str) -> Iterator[str]:
    for name, packages in RUNTIME_PACKAGES.items():
        if kind in {"auto", name}:
            yield from packages
