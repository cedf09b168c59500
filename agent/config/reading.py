"""Reading the device's one TOML file.

Unknown keys are refused with the nearest known one named. Relative paths are relative to the file.
"""

import difflib
import platform
import tomllib
import typing
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.config.sections import Camera, CameraKind, Emission, Pipeline, Runtime, Settings
from agent.wire import topics
from agent.wire.errors import ConfigError
from agent.wire.topics import MAIN


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """One camera and one model, with everything that applies to them."""

    name: str
    stream: str
    camera: Camera
    runtime: Runtime
    emission: Emission


def pipelines(settings: Settings) -> tuple[PipelineSettings, ...]:
    """The pipeline of the file's own sections first, then the named ones."""
    main = PipelineSettings(
        MAIN, settings.update.stream, settings.camera, settings.runtime, settings.emission
    )
    return main, *(
        PipelineSettings(
            name,
            further.stream,
            further.camera,
            further.runtime or settings.runtime,
            further.emission or settings.emission,
        )
        for name, further in settings.pipeline.items()
    )


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
    if MAIN in document.get("pipeline", ()):
        raise ConfigError(
            f"configuration {path}: [pipeline.{MAIN}] belongs to the sections above; choose another name"
        )
    try:
        settings = msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"configuration {path}: {error}") from error
    settings = _resolve(settings, path.resolve().parent)
    _refuse_broken_shares(settings, str(path))
    return settings


def _refuse_broken_shares(settings: Settings, where: str) -> None:
    """A shared camera is another pipeline's own."""
    own = {line.name for line in pipelines(settings) if line.camera.kind is not CameraKind.SHARED}
    for line in pipelines(settings):
        if line.camera.kind is CameraKind.SHARED and line.camera.of not in own:
            raise ConfigError(
                f"configuration {where}: pipeline {line.name!r} shares the camera of {line.camera.of!r}; "
                f"name a pipeline in `of` that has its own: {', '.join(sorted(own)) or 'there is none'}"
            )


def _refuse_unknown(document: dict[str, object], kind: type[Struct], where: str) -> None:
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in document.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            raise ConfigError(f"configuration {where}: unknown key {key!r}; did you mean {near[0]!r}?")
        if not isinstance(value, dict):
            continue
        section = _section(known[key])
        if key == "pipeline":
            for name, further in value.items():
                if isinstance(further, dict):
                    _refuse_unknown(further, Pipeline, f"{where} [pipeline.{name}]")
        elif section is not None:
            _refuse_unknown(value, section, f"{where} [{key}]")


def _section(kind: object) -> type[Struct] | None:
    """The section that a field of this type holds; `X | None` holds an X."""
    for each in typing.get_args(kind) or (kind,):
        if isinstance(each, type) and issubclass(each, Struct):
            return each
    return None


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
        camera=_resolve_camera(settings.camera, folder),
        pipeline={
            name: replace(further, camera=_resolve_camera(further.camera, folder))
            for name, further in settings.pipeline.items()
        },
    )


def _resolve_camera(camera: Camera, folder: Path) -> Camera:
    return msgspec.structs.replace(
        camera, folder=_absolute(camera.folder, folder), file=_absolute(camera.file, folder)
    )


def _absolute(path: str, folder: Path) -> str:
    return str(folder / Path(path).expanduser()) if path else ""
