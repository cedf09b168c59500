"""A Home Assistant on the fleet's broker: how it gets in, and what it forgets of a device that has gone."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.ports.link import Outgoing
from agent.wire.errors import PortError
from agent.wire.topics import MODEL, DeviceId, Qos
from deploy.adapters.authority.profiles import Kind
from deploy.adapters.secret_files import write_secret
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk.session import connected
from deploy.assemble.enrolment import membership
from deploy.core.enrolment import access, passwords

PASSWORD_BYTES: Final = 24
SAID_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class HomeFiles:
    certificate: Path
    key: Path
    password: Path | None
    """None: the broker has no listener for passwords."""


def admit(workspace: Workspace, *, password: bool) -> HomeFiles:
    """A certificate for it, and a password, where there are none. The broker must learn of them.

    Raises:
        ConfigError: a file of the workspace is wrong.
        StoreFailed: the disk refused.
    """
    keys = workspace.folder / "keys"
    certificate, key = keys / f"{access.HOME}.pem", keys / f"{access.HOME}.key"
    if not (certificate.exists() and key.exists()):
        pair = membership.authority(workspace).issue(access.HOME, Kind.CLIENT)
        write_secret(key, pair.key)
        write_secret(certificate, pair.certificate)
    return HomeFiles(certificate, key, _password(workspace) if password else None)


def _password(workspace: Workspace) -> Path:
    path, kept = workspace.folder / "keys" / f"{access.HOME}.password", membership.read_passwords(workspace)
    if path.exists() and access.HOME in kept:
        return path
    word, salt = secrets.token_urlsafe(PASSWORD_BYTES), secrets.token_bytes(passwords.SALT_BYTES)
    write_secret(path, f"{word}\n".encode())
    membership.write_passwords(workspace, kept | {access.HOME: passwords.line(access.HOME, word, salt)})
    return path


def forget(workspace: Workspace, device: DeviceId) -> str | None:
    """Take away what this device announced under its own name; why that could not be, in words, or None.

    Under another name, or another prefix, no access list of ours lets a device announce itself, nor an
    operator take it back: Home Assistant does that itself when a person deletes the device there.

    Raises:
        ConfigError: the address of the broker, or a file of the settings, is wrong.
    """
    try:
        with connected(workspace) as session:
            for topic in (access.HOUSE.announcement(device), session.root.device(MODEL, device)):
                gone = Outgoing(topic, b"", Qos.AT_LEAST_ONCE, retain=True)
                session.link.publish(gone).result(SAID_S)
    except (PortError, TimeoutError) as error:
        return str(error) or "the broker did not answer"
    return None
