"""Reading the device's one TOML file.

There is no other source: no environment variable and no option overrides a key, so that the file tells what
runs. Relative paths are relative to the file. What is taken from elsewhere are the passwords and
the seal key that the service manager hands over (systemd's `LoadCredential=mqtt_password:...`,
`LoadCredential=web_password:...` and `LoadCredential=seal_key:...`), where the file names none; and, on a
device that claimed it, its identity.
"""

import os
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.config import claimed
from agent.config.crosschecks import exposed, faults
from agent.config.lines import Key, key_lines
from agent.config.sections import Camera, Settings
from agent.config.values import Source, convert
from agent.core.broker_url import parse_urls
from agent.wire import topics
from agent.wire.errors import ConfigError

DEFAULT_PATH: Final = Path("/etc/shoal/agent.toml")
CREDENTIAL: Final = "mqtt_password"
SEAL_CREDENTIAL: Final = "seal_key"
WEB_CREDENTIAL: Final = "web_password"
"""All under `$CREDENTIALS_DIRECTORY`. Source: systemd.exec(5), LoadCredential=."""
FILE_MAX_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, and which of them the file spells out."""

    settings: Settings
    path: Path | None = None
    """None: no file, all defaults."""
    lines: dict[Key, int] = field(default_factory=dict)


def read(path: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in the file, with its paths made absolute.

    Raises:
        ConfigError: the file cannot be read, is no TOML, holds an unknown key or an impossible value, or
            settings that contradict each other.
    """
    return examine(path, environment).settings


def examine(path: Path, environment: Mapping[str, str] = os.environ) -> Configuration:
    """As `read`, with the line of every key.

    Raises:
        ConfigError: as `read`.
    """
    document, text = _parsed(path)
    source = Source(str(path), key_lines(text))
    settings = convert(document, Settings, source)
    fault = next(faults(settings), None)
    if fault is not None:
        raise source.refusal(fault.key, fault.words)
    try:
        settings = _resolve(settings, path.resolve().parent, environment)
    except ConfigError as error:
        raise source.refusal((), str(error)) from error
    fault = next(exposed(settings), None)
    if fault is not None:
        raise source.refusal(fault.key, fault.words)
    return Configuration(settings, path, source.lines)


def defaults(folder: Path, environment: Mapping[str, str] = os.environ) -> Configuration:
    """What would apply without a file; paths are relative to the folder.

    Raises:
        ConfigError: the host's name is no device id, or a path begins with a home that is not there.
    """
    return Configuration(_resolve(Settings(), folder, environment))


def find(named: Path | None) -> Path:
    """The file that was named, else the one of the installed service.

    Raises:
        ConfigError: there is neither.
    """
    if named is not None or there(DEFAULT_PATH):
        return named or DEFAULT_PATH
    raise ConfigError(
        f"no configuration: {DEFAULT_PATH} does not exist; name a file with --config "
        "(the operator writes one with `shoal device-config`)"
    )


def there(path: Path) -> bool:
    """Whether something has this name: a file in a folder that this user may not enter counts, and is to be
    refused when it is read.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(FILE_MAX_BYTES + 1)
    if len(content) > FILE_MAX_BYTES:
        raise ConfigError(f"configuration {path} is longer than {FILE_MAX_BYTES} bytes: that is no such file")
    return content


def _parsed(path: Path) -> tuple[dict[str, Any], str]:
    try:
        # Windows editors put a byte order mark before the first section.
        text = _content(path).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"configuration {path} is not UTF-8 text: {error.reason}") from error
    try:
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"configuration {path} is not TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"configuration {path} is nested too deeply to be one") from error
    except ValueError as error:
        # The parser lets through what Python says of numbers with thousands of digits.
        raise ConfigError(f"configuration {path} holds a number with too many digits") from error


def _resolve(settings: Settings, folder: Path, environment: Mapping[str, str]) -> Settings:
    return claimed.settings(_absolutely(settings, folder, environment), named=bool(settings.device.id))


def _absolutely(settings: Settings, folder: Path, environment: Mapping[str, str]) -> Settings:
    replace = msgspec.structs.replace
    broker = settings.broker
    return replace(
        settings,
        device=replace(
            settings.device,
            id=topics.device_id(settings.device.id or platform.node()),
            state_dir=_absolute(settings.device.state_dir, folder),
            seal_key_file=_absolute(settings.device.seal_key_file, folder)
            or _handed_over(SEAL_CREDENTIAL, environment),
        ),
        broker=replace(
            broker,
            password_file=_absolute(broker.password_file, folder) or _credential(settings, environment),
            ca=_absolute(broker.ca, folder),
            certificate=_absolute(broker.certificate, folder),
            key=_absolute(broker.key, folder),
        ),
        claim=replace(
            settings.claim,
            token_file=_absolute(settings.claim.token_file, folder),
            enrolment_key=_absolute(settings.claim.enrolment_key, folder),
        ),
        web=replace(
            settings.web,
            password_file=_absolute(settings.web.password_file, folder)
            or _handed_over(WEB_CREDENTIAL, environment),
            certificate=_absolute(settings.web.certificate, folder),
            key=_absolute(settings.web.key, folder),
        ),
        trust=replace(settings.trust, root=_absolute(settings.trust.root, folder)),
        update=replace(settings.update, veto_file=_absolute(settings.update.veto_file, folder)),
        camera=_resolve_camera(settings.camera, folder),
        pipeline={
            name: replace(further, camera=_resolve_camera(further.camera, folder))
            for name, further in settings.pipeline.items()
        },
    )


def _credential(settings: Settings, environment: Mapping[str, str]) -> str:
    """The password from the service manager, for the user that the settings name; empty if there is none."""
    user = settings.broker.username or parse_urls(settings.broker.url)[0].username
    return _handed_over(CREDENTIAL, environment) if user else ""


def _handed_over(name: str, environment: Mapping[str, str]) -> str:
    folder = environment.get("CREDENTIALS_DIRECTORY", "")
    path = Path(folder, name)
    return str(path) if folder and path.is_file() else ""


def _resolve_camera(camera: Camera, folder: Path) -> Camera:
    return msgspec.structs.replace(
        camera, folder=_absolute(camera.folder, folder), file=_absolute(camera.file, folder)
    )


def _absolute(path: str, folder: Path) -> str:
    try:
        return str(folder / Path(path).expanduser()) if path else ""
    except RuntimeError as error:
        raise ConfigError(f"path {path!r}: there is no such home here, write the path in full") from error
