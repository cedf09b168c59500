"""The device's seal: its key from the file that the configuration names, its boot from the state folder."""

from pathlib import Path

from agent.adapters import boot_count
from agent.config import Settings
from agent.loops.telling.signet import Signet
from agent.wire import seal
from agent.wire.errors import ConfigError, Malformed
from agent.wire.seal import DeviceKey


def signet(settings: Settings) -> Signet:
    """
    Raises:
        ConfigError: the file cannot be read, or holds no seal key.
    """
    key, count = _key(settings), Path(settings.device.state_dir) / "boot"
    if key is None:
        return Signet(boot_count.count(count))
    return Signet(boot_count.count(count, key.boots_above), key.secret)


def _key(settings: Settings) -> DeviceKey | None:
    path = settings.device.seal_key_file
    if not path:
        return None
    try:
        return seal.key_from(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(
            f"device.seal_key_file {path}: {error.strerror}; shoal enrol writes it for this device"
        ) from error
    except Malformed as error:
        raise ConfigError(f"device.seal_key_file {path}: {error}") from error
