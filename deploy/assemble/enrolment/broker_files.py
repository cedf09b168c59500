"""The folder `broker`: a Mosquitto's configuration, and what it must know of the fleet's devices."""

from dataclasses import dataclass
from pathlib import Path

from agent.wire import topics
from deploy.adapters.authority.profiles import Kind
from deploy.adapters.secret_files import write_secret
from deploy.adapters.workspace import Workspace
from deploy.assemble.enrolment import membership
from deploy.core.enrolment import access, mosquitto, orders, passwords
from deploy.core.enrolment.mosquitto import Listening, Upstream


@dataclass(frozen=True, slots=True)
class Wanted:
    hosts: tuple[str, ...]
    """Names and addresses by which devices and operators reach it."""
    listening: Listening
    upstream: Upstream | None = None
    """It is a site's broker, and a cache of this one."""


@dataclass(frozen=True, slots=True)
class OperatorFiles:
    """What the operator's own settings have to name."""

    ca: Path
    certificate: Path
    key: Path


def folder(workspace: Workspace) -> Path:
    return workspace.folder / "broker"


def write(workspace: Workspace, wanted: Wanted, target: Path) -> OperatorFiles:
    """All that the broker needs, with a fresh certificate; and the operator's own, where there is none.

    Raises:
        ConfigError: a file of the workspace is wrong.
        StoreFailed: the disk refused.
    """
    authority, listening = membership.authority(workspace), wanted.listening
    server = authority.issue(access.SERVER, Kind.SERVER, wanted.hosts)
    files = {"ca.pem": authority.certificate, "server.pem": server.certificate, "server.key": server.key}
    bridge = ""
    if wanted.upstream is not None:
        site = authority.issue(access.SITE, Kind.CLIENT)
        files |= {"site.pem": site.certificate, "site.key": site.key}
        bridge = mosquitto.bridge(
            wanted.upstream, topics.root(workspace.settings.broker.root), listening.folder
        )
    files["mosquitto.conf"] = mosquitto.configuration(listening, bridge).encode()
    files["install"] = mosquitto.install(listening).encode()
    for name, content in files.items():
        write_secret(target / name, content)
    _write_members(workspace, target)
    return _operator(workspace)


def refresh(workspace: Workspace) -> bool:
    """Bring up to date what the broker must know of the devices; False: none was configured here.

    Raises:
        ConfigError: a file of the workspace is wrong.
        StoreFailed: the disk refused.
    """
    there = folder(workspace).is_dir()
    if there:
        _write_members(workspace, folder(workspace))
    return there


def _write_members(workspace: Workspace, target: Path) -> None:
    root = topics.root(workspace.settings.broker.root)
    expelled = orders.expelled(membership.read_fleet(workspace))
    write_secret(target / "acl", access.access_list(root, expelled).encode())
    write_secret(target / "crl.pem", membership.authority(workspace).revocations)
    write_secret(target / "passwords", passwords.file(membership.read_passwords(workspace)).encode())


def _operator(workspace: Workspace) -> OperatorFiles:
    keys = workspace.folder / "keys"
    files = OperatorFiles(keys / "ca" / "ca.pem", keys / "operator.pem", keys / "operator.key")
    if not (files.certificate.exists() and files.key.exists()):
        pair = membership.authority(workspace).issue(access.OPERATOR, Kind.CLIENT)
        write_secret(files.key, pair.key)
        write_secret(files.certificate, pair.certificate)
    return files
