"""`shoal-agent check`: facts from the machine, findings from `agent.core.findings`.

Nothing here changes the machine, apart from one retained message that comes and goes on the broker, and
nothing needs a configuration or a broker to be there. What could crash runs in a child.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from agent.adapters import cage_linux, lock_folder
from agent.adapters.clock_system import SystemClock
from agent.adapters.edgetpu import pycoral
from agent.adapters.machine import files as machine_files
from agent.adapters.machine import host as machine_host
from agent.adapters.machine import packages as machine_packages
from agent.adapters.machine import trust as machine_trust
from agent.adapters.store_files import FileStore
from agent.assemble.checking import check_broker, check_child
from agent.assemble.edgetpu import accelerator
from agent.assemble.links import link_settings
from agent.assemble.page import password
from agent.config import CameraKind, Configuration, Settings, claimed, pipelines
from agent.core.findings import broker, devices, files, host, packages, runtime, trust, web
from agent.core.findings.files import Entry, Hidden, Missing
from agent.core.findings.finding import Area, Finding
from agent.core.findings.host import Machine
from agent.core.findings.runtime import Probe, Versions
from agent.core.page.place import Place, parse
from agent.core.serving.delegate import DelegateChoice, RuntimeChoice
from agent.core.tflite import flatmodel
from agent.core.update import freshness
from agent.wire import topics
from agent.wire.errors import ConfigError, Malformed, StoreFailed
from agent.wire.ipc import EdgeTpu
from agent.wire.topics import DeviceId

DISTRIBUTIONS: Final = (
    "ai-edge-litert", "tflite-runtime", "numpy", "ml_dtypes", "simplejpeg", "picamera2", "av", "pillow",
    "pycoral", "pycoral-pi5",
)  # fmt: skip
BOUND_TO_NUMPY: Final = ("simplejpeg", "picamera2")
"""Modules of the camera that are built against one numpy; the first is what the second fails at."""
MEBIBYTE: Final = 1_048_576


class Examination:
    """One look at the machine; what several areas need is read once.

    Args:
        configuration: what applies.
        fault: why the file that was named cannot be used; else None.
        model: a file to measure; None: the release that runs, where there is one.
    """

    def __init__(self, configuration: Configuration, fault: str | None, model: Path | None) -> None:
        self.configuration, self.fault, self.model = configuration, fault, model

    @property
    def settings(self) -> Settings:
        return self.configuration.settings

    @property
    def state(self) -> Path:
        return Path(self.settings.device.state_dir)

    @cached_property
    def running(self) -> int | None:
        """The process of the agent that runs on this state folder."""
        return lock_folder.holder(self.state / "lock")

    @cached_property
    def hidden(self) -> bool:
        """Whether this user may not look for an agent."""
        return isinstance(machine_files.place(self.state / "lock"), Hidden)

    @property
    def held(self) -> bool:
        """Whether camera and Edge TPU are an agent's, or may be."""
        return self.running is not None or self.hidden

    @cached_property
    def machine(self) -> Machine:
        return machine_host.read()

    @cached_property
    def versions(self) -> Versions:
        return machine_packages.versions(DISTRIBUTIONS)

    @cached_property
    def probe(self) -> Probe:
        return check_child.probe("", self.settings.runtime.kind)


def examine(examination: Examination, areas: Iterable[Area]) -> Iterator[Finding]:
    """Area by area, as they are done. A file that cannot be used is told whatever was asked for; what
    depends on it is then left alone, because the defaults are another device's: they know nothing of an agent
    that runs here, and would take its camera.
    """
    wanted = list(areas)
    if examination.fault is not None:
        wanted = [Area.CONFIG, *(area for area in wanted if area in _WITHOUT_FILE)]
    for area in wanted:
        yield from AREAS[area](examination)


_WITHOUT_FILE: Final = frozenset(
    {Area.HOST, Area.CLOCK, Area.CAGE, Area.RUNTIME, Area.DELEGATE, Area.NUMPY, Area.PYCORAL}
)


def _config(about: Examination) -> Iterable[Finding]:
    path = about.configuration.path
    yield host.config(None if path is None else str(path), about.fault)


def _agent(about: Examination) -> Iterable[Finding]:
    yield host.agent(about.running, str(about.state) if about.hidden else "")


def _host(about: Examination) -> Iterable[Finding]:
    yield host.host(about.machine)


def _clock(_: Examination) -> Iterable[Finding]:
    clock = SystemClock()
    now = clock.now()
    yield host.clock(
        f"{now:%Y-%m-%d %H:%M:%S} UTC",
        synchronized=clock.synchronized(),
        plausible=freshness.plausible(now),
    )


def _disk(about: Examination) -> Iterable[Finding]:
    floor_bytes = about.settings.device.free_floor_mib * MEBIBYTE
    yield files.disk(machine_files.disk(about.state), floor_bytes)


def _permissions(about: Examination) -> Iterable[Finding]:
    broker, web, device = about.settings.broker, about.settings.web, about.settings.device
    named = (broker.password_file, broker.key, device.seal_key_file, web.password_file, web.key)
    secrets = [Path(path) for path in named if path]
    patterns = {pattern for line in pipelines(about.settings) for pattern in _NODES.get(line.camera.kind, ())}
    return files.permissions(
        machine_files.user(),
        machine_files.state(about.state),
        [machine_files.place(path) for path in secrets],
        machine_files.nodes(sorted(patterns)),
    )


_NODES: Final = {
    CameraKind.V4L2: ("video*",),
    CameraKind.PICAMERA2: ("media*", "video*", "v4l-subdev*", "dma_heap/*"),
    CameraKind.AUTO: ("media*", "video*", "v4l-subdev*", "dma_heap/*"),
}
"""The device files of each kind of camera, below /dev."""


def _cage(_: Examination) -> Iterable[Finding]:
    layers = cage_linux.available()
    yield host.cage(layers.files, layers.network)


def _runtime(about: Examination) -> Iterable[Finding]:
    kind = about.settings.runtime.kind
    first = None
    if runtime.falls_back(about.versions, kind, about.probe):
        outcome = check_child.probe("", RuntimeChoice.LITERT)
        first = None if isinstance(outcome, runtime.Computed) else outcome
    yield runtime.runtime(about.machine, about.versions, kind, about.probe, first)


def _delegate(about: Examination) -> Iterable[Finding]:
    found = runtime.delegate(about.probe)
    return () if found is None else (found,)


def _speed(about: Examination) -> Iterable[Finding]:
    model = _Named(str(about.model), about.model) if about.model is not None else _released(about.state)
    if model is None:
        yield runtime.speed("", None)
        return
    section = about.settings.runtime
    compiled = _compiled(model.path)
    if compiled and about.held:
        yield runtime.speed_left(model.name)
        return
    wanted = EdgeTpu(
        library=section.edgetpu_library,
        device=section.edgetpu_device,
        performance=section.edgetpu_performance.value,
    )
    probe = check_child.probe(str(model.path), section.kind, wanted if compiled else None)
    yield runtime.speed(model.name, probe, compiled=compiled)


def _compiled(model: Path) -> bool:
    """For an Edge TPU. What cannot be read is refused by the runtime, in its own words."""
    try:
        return flatmodel.examine(model.read_bytes()).edgetpu
    except (OSError, Malformed):
        return False


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    path: Path


def _released(state: Path) -> _Named | None:
    """The release that runs here, in the variant for the CPU."""
    if not isinstance(machine_files.place(state / "objects"), Entry):
        return None
    try:
        store = FileStore(state, 0)
        active = store.load().state.active
    except StoreFailed:
        return None
    if active is None:
        return None
    path = store.path(active.twin or active.variant)
    there = isinstance(machine_files.place(path), Entry)
    return _Named(f"{active.name} {active.version}", path) if there else None


def _edgetpu(about: Examination) -> Iterable[Finding]:
    """While an agent runs, the device is not opened: it would fail, or take it from the worker."""
    running = about.held
    for line in pipelines(about.settings):
        section = line.runtime
        if section.delegate is DelegateChoice.CPU:
            continue
        wanted = EdgeTpu(library=section.edgetpu_library, device=section.edgetpu_device)
        sight = asyncio.run(accelerator().look(wanted, opening=not running))
        required = section.delegate is DelegateChoice.EDGETPU
        yield devices.edgetpu(line.name, sight.finding, sight.version, required=required, running=running)


def _camera(about: Examination) -> Iterable[Finding]:
    for line in pipelines(about.settings):
        if line.camera.kind is CameraKind.SHARED:
            continue
        held = about.held and line.camera.kind in _EXCLUSIVE
        yield devices.camera(line.name, None if held else check_child.look_through(line.camera))


_EXCLUSIVE: Final = frozenset({CameraKind.AUTO, CameraKind.PICAMERA2, CameraKind.V4L2})
"""Cameras that one process can open at a time."""


def _numpy(about: Examination) -> Iterable[Finding]:
    modules = [module for module in BOUND_TO_NUMPY if machine_packages.present(module)]
    imports = {module: check_child.import_module(module) for module in modules}
    yield packages.numpy_binding(about.versions, imports)


def _pycoral(about: Examination) -> Iterable[Finding]:
    yield packages.pycoral(pycoral.examine(), about.versions)


def _web(about: Examination) -> Iterable[Finding]:
    section = about.settings.web
    if not section.listen:
        yield web.no_page()
        return
    try:
        asks = bool(password(section))
    except ConfigError as error:
        yield web.refused(str(error))
        return
    place = parse(section.listen, section.proxy)
    # Where an agent runs, the port is its own.
    reason = "" if about.held else _taken(place)
    yield web.page(place, reason, tls=bool(section.certificate), asks=asks)


def _taken(place: Place) -> str:
    from agent.adapters.web.server import bind

    try:
        bind(place).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _trust(about: Examination) -> Iterable[Finding]:
    path = about.settings.trust.root
    newest = about.state / "trust/metadata/timestamp.json"
    yield trust.trust(
        path,
        machine_trust.read(Path(path), "root"),
        None if isinstance(machine_files.place(newest), Missing) else machine_trust.read(newest, "timestamp"),
        SystemClock().now(),
    )


def _broker(about: Examination) -> Iterable[Finding]:
    if claimed.pending(about.settings):
        yield broker.unclaimed(claimed.name(about.settings))
        return
    section, device = about.settings.broker, DeviceId(about.settings.device.id)
    below = topics.root(section.root).device(topics.CHECK, device).removesuffix("check")
    for settings in link_settings(section, device, None).alternatives:
        visited = check_broker.visit(settings, topics.root(section.root), device)
        yield from broker.broker(
            settings.place, section.protocol.value, visited, f"{below}#", tls=settings.tls is not None
        )


Examine = Callable[[Examination], Iterable[Finding]]
AREAS: Final[dict[Area, Examine]] = {
    Area.CONFIG: _config,
    Area.AGENT: _agent,
    Area.HOST: _host,
    Area.CLOCK: _clock,
    Area.DISK: _disk,
    Area.PERMISSIONS: _permissions,
    Area.CAGE: _cage,
    Area.RUNTIME: _runtime,
    Area.DELEGATE: _delegate,
    Area.SPEED: _speed,
    Area.EDGETPU: _edgetpu,
    Area.CAMERA: _camera,
    Area.NUMPY: _numpy,
    Area.PYCORAL: _pycoral,
    Area.WEB: _web,
    Area.TRUST: _trust,
    Area.BROKER: _broker,
}
