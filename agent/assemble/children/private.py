"""What the supervisor's children may not read, and what others may not read off their command line, which
every user of the host sees. Both travel in the child's environment, which only its own user does.
"""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from agent.config import Camera, Settings, claimed

HIDDEN: Final = "SHOAL_HIDDEN"
CAMERA_URL: Final = "SHOAL_CAMERA_URL"


def secrets(
    settings: Settings, config: Path, environment: Mapping[str, str] = os.environ
) -> tuple[Path, ...]:
    """Files and folders with passwords and keys: the configuration, for it may name a camera's."""
    named = (
        settings.broker.password_file,
        settings.broker.key,
        settings.device.seal_key_file,
        settings.web.password_file,
        settings.web.key,
        settings.claim.token_file,
        settings.claim.token_file and str(claimed.folder(settings)),
        environment.get("CREDENTIALS_DIRECTORY", ""),
        str(config.resolve()),
    )
    return tuple(Path(path) for path in named if path)


def told(hidden: tuple[Path, ...], camera: Camera | None = None) -> dict[str, str]:
    """The environment of a child that may not read what is hidden, with its camera's address."""
    words = {HIDDEN: os.pathsep.join(map(str, hidden))}
    return words if camera is None or not camera.url else words | {CAMERA_URL: camera.url}


def hidden(environment: MutableMapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The child's side."""
    return tuple(Path(path) for path in environment.pop(HIDDEN, "").split(os.pathsep) if path)


def without_address(camera: Camera) -> Camera:
    """As it may stand in a command line."""
    return replace(camera, url="")


def with_address(camera: Camera, environment: MutableMapping[str, str] = os.environ) -> Camera:
    """The child's side."""
    return replace(camera, url=environment.pop(CAMERA_URL, camera.url))
