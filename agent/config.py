"""The device's one TOML file: every key with its default and unit.

Unknown keys are refused with the nearest known one named. Relative paths are relative to the file.
"""

import difflib
import platform
import tomllib
import typing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from agent.core.delegate import RuntimeChoice
from agent.wire import topics
from agent.wire.errors import ConfigError

Rate = Annotated[float, Meta(ge=0.0, le=1000.0)]
Threads = Annotated[int, Meta(ge=1, le=64)]


class Protocol(StrEnum):
    MQTT_5 = "5"
    MQTT_311 = "3.1.1"


class CameraKind(StrEnum):
    REPLAY = "replay"
    PATTERN = "pattern"


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Device(Section, frozen=True, kw_only=True):
    id: str = ""
    """Empty: the host's name."""
    state_dir: str = "state"
    tags: tuple[str, ...] = ()
    free_floor_mib: Annotated[int, Meta(ge=0)] = 64
    """Free disk that a download must leave."""


class Broker(Section, frozen=True, kw_only=True):
    url: str = "mqtt://127.0.0.1:1883"
    protocol: Protocol = Protocol.MQTT_311
    root: str = "shoal/default"
    username: str = ""
    password_file: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30


class Trust(Section, frozen=True, kw_only=True):
    root: str = "root.json"
    """The pinned root of trust, from `shoal init`."""
    timeout_s: Annotated[float, Meta(gt=0.0)] = 20.0


class Update(Section, frozen=True, kw_only=True):
    stream: str = "main"
    recheck_s: Annotated[float, Meta(ge=1.0)] = 3600.0
    """How often the signed metadata is read even if nothing announced a change."""


class Camera(Section, frozen=True, kw_only=True):
    kind: CameraKind = CameraKind.PATTERN
    folder: str = ""
    """The photographs that `replay` shows."""
    rate_fps: Rate = 10.0
    width_px: Annotated[int, Meta(ge=16, le=8192)] = 640
    height_px: Annotated[int, Meta(ge=16, le=8192)] = 480


class Runtime(Section, frozen=True, kw_only=True):
    kind: RuntimeChoice = RuntimeChoice.AUTO
    threads: Threads = 1


class Telemetry(Section, frozen=True, kw_only=True):
    window_s: Annotated[float, Meta(ge=1.0)] = 10.0
    top: Annotated[int, Meta(ge=1, le=100)] = 5
    """Ranked labels in a prediction."""


class Settings(Section, frozen=True, kw_only=True):
    device: Device = Device()
    broker: Broker = Broker()
    trust: Trust = Trust()
    update: Update = Update()
    camera: Camera = Camera()
    runtime: Runtime = Runtime()
    telemetry: Telemetry = Telemetry()


def read(path: Path) -> Settings:
    """The settings in the file, with its paths made absolute.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or holds an unknown key or an impossible value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"configuration {path} is not UTF-8 text: {error.reason}") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"configuration {path} is not TOML: {error}") from error
    _refuse_unknown(document, Settings, str(path))
    try:
        settings = msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"configuration {path}: {error}") from error
    return _resolve(settings, path.resolve().parent)


def _refuse_unknown(document: dict[str, object], kind: type[Struct], where: str) -> None:
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in document.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            raise ConfigError(f"configuration {where}: unknown key {key!r}; did you mean {near[0]!r}?")
        if isinstance(value, dict) and _is_section(known[key]):
            _refuse_unknown(value, known[key], f"{where} [{key}]")


def _is_section(kind: object) -> typing.TypeGuard[type[Struct]]:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _resolve(settings: Settings, folder: Path) -> Settings:
    replace = msgspec.structs.replace
    broker = settings.broker
    return replace(
        settings,
        device=replace(
            settings.device,
            id=topics.device_id(settings.device.id or platform.node()),
            state_dir=_absolute(settings.device.state_dir, folder),
        ),
        broker=replace(
            broker,
            password_file=_absolute(broker.password_file, folder),
            ca=_absolute(broker.ca, folder),
            certificate=_absolute(broker.certificate, folder),
            key=_absolute(broker.key, folder),
        ),
        trust=replace(settings.trust, root=_absolute(settings.trust.root, folder)),
        camera=replace(settings.camera, folder=_absolute(settings.camera.folder, folder)),
    )


def _absolute(path: str, folder: Path) -> str:
    return str(folder / Path(path).expanduser()) if path else ""
