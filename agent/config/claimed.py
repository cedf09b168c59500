"""The identity that a device has claimed: a folder in its state folder, which counts for what the file leaves
open.
"""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from agent.config.sections import Settings
from agent.wire import topics
from agent.wire.errors import ConfigError

FILE: Final = "identity.json"
"""Written last: without it the claim is still open."""
CERTIFICATE, KEY, SEAL_KEY, NAME = "device.pem", "device.key", "seal.key", "name"


class Identity(Struct, frozen=True, kw_only=True):
    device: str
    tags: tuple[str, ...] = ()


def folder(settings: Settings) -> Path:
    return Path(settings.device.state_dir) / "identity"


def pending(settings: Settings) -> bool:
    """Whether the device has to claim an identity before it can run."""
    return bool(settings.claim.token_file) and not (folder(settings) / FILE).exists()


def name(of: Settings) -> str:
    """What the claim is called at the operator's; empty: it was not made yet, or is not ours to read."""
    try:
        return (folder(of) / NAME).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def settings(given: Settings, *, named: bool) -> Settings:
    """The settings, with the identity where one was claimed.

    Raises:
        ConfigError: the identity cannot be read.
    """
    if named or not given.claim.token_file or pending(given):
        return given
    replace, where = msgspec.structs.replace, folder(given)
    identity = _read(where / FILE)
    return replace(
        given,
        device=replace(
            given.device,
            id=topics.device_id(identity.device),
            tags=identity.tags,
            seal_key_file=str(where / SEAL_KEY),
        ),
        broker=replace(given.broker, certificate=str(where / CERTIFICATE), key=str(where / KEY)),
    )


def _read(path: Path) -> Identity:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Identity)
    except OSError as error:
        raise ConfigError(f"the claimed identity {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"the claimed identity {path} is damaged ({error}): delete its folder, and the device claims anew"
        ) from error
