"""The workspace with what stands in it: repository, artifacts, model registry, configurations of devices."""

from dataclasses import dataclass
from pathlib import Path

from agent.adapters.clock_system import SystemClock
from agent.core.broker_url import parse_urls
from agent.wire import topics
from agent.wire.errors import ConfigError
from deploy.adapters import workspace as adapter
from deploy.adapters.registry_pooch import PoochRegistry, models_folder
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.workspace import Broker, Fleet, Settings, Workspace
from deploy.core import device_config as config
from deploy.core import names
from deploy.core.device_config import CameraKind
from deploy.core.refusal import Refused
from deploy.ports.registry import ModelRegistry
from deploy.ports.repository import Repository


def find(start: Path) -> Workspace:
    """
    Raises:
        ConfigError: the folder lies in no workspace, or `shoal.toml` is wrong.
    """
    return adapter.find(start)


def create(folder: Path, *, fleet: str, url: str, root: str) -> Workspace:
    """A workspace with fresh keys and an empty signed repository.

    Raises:
        Refused: the folder has something in it.
        ConfigError: the address or a name is none.
    """
    parse_urls(url)
    named = Fleet(name=names.segment("fleet", fleet))
    settings = Settings(fleet=named, broker=Broker(url=url, root=topics.root(root).prefix))
    made = adapter.create(folder, settings)
    repository = TufRepository.create(made.repository, made.offline_keys, made.online_keys, SystemClock())
    write_root_of_trust(made, repository)
    adapter.write_settings(made)
    return made


def write_root_of_trust(workspace: Workspace, repository: Repository) -> None:
    """The newest root for devices to come; those with an older one follow the chain.

    Raises:
        StoreFailed: the disk refused.
    """
    adapter.write_file(workspace.root_of_trust, repository.root())


def open_repository(workspace: Workspace, offline_keys: Path | None = None) -> TufRepository:
    """
    Raises:
        ConfigError: the repository or the given folder of offline keys is not there.
    """
    if offline_keys is not None and not offline_keys.is_dir():
        raise ConfigError(f"--offline-keys {offline_keys}: there is no such folder")
    return TufRepository.open(
        workspace.repository, offline_keys or workspace.offline_keys, workspace.online_keys, SystemClock()
    )


def open_registry() -> ModelRegistry:
    """
    Raises:
        ConfigError: the registry was not installed.
    """
    return PoochRegistry(models_folder())


@dataclass(frozen=True, slots=True)
class Wanted:
    """A configuration, as the operator asks for it."""

    device: str
    url: str | None
    """As the device reaches the broker; None: as we do."""
    camera: CameraKind


def device_config(workspace: Workspace, wanted: Wanted) -> str:
    """The configuration of a device that runs on this machine.

    Raises:
        ConfigError: the id or the address is none.
    """
    return _device_toml(workspace, wanted, str(workspace.root_of_trust))


def write_device_config(workspace: Workspace, wanted: Wanted, target: Path) -> Path:
    """Write the configuration, and the root of trust beside it; both go to the device.

    Raises:
        Refused: another fleet's root of trust lies beside it.
        ConfigError: the id or the address is none.
        StoreFailed: the disk refused.
    """
    text = _device_toml(workspace, wanted, "root.json")
    root, beside = workspace.root_of_trust.read_bytes(), target.parent / "root.json"
    if beside.exists() and beside.read_bytes() != root:
        raise Refused(f"{beside} is the root of trust of another fleet: write into another folder")
    adapter.write_file(target, text.encode())
    adapter.write_file(beside, root)
    return beside


def _device_toml(workspace: Workspace, wanted: Wanted, root_path: str) -> str:
    broker = workspace.settings.broker
    parse_urls(wanted.url or broker.url)
    return config.to_toml(
        config.DeviceConfig(
            id=topics.device_id(wanted.device),
            url=wanted.url or broker.url,
            root=broker.root,
            protocol=broker.protocol,
            trust=root_path,
            stream=workspace.settings.fleet.stream,
            camera=wanted.camera,
            subscribe_qos=broker.subscribe_qos,
        )
    )
