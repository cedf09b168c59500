"""Devices come into the fleet and leave it.

The line in the ledger is written before the new secrets count: whoever is interrupted enrols again, and what
was half done is void.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.core.broker_url import parse_urls
from agent.wire.errors import ConfigError
from agent.wire.seal import KEY_BYTES
from agent.wire.topics import DeviceId
from deploy.adapters.authority import Pair
from deploy.adapters.authority.profiles import Kind
from deploy.adapters.workspace import Workspace
from deploy.assemble.enrolment import broker_files, membership
from deploy.core.device_config import CameraKind, DeviceConfig
from deploy.core.enrolment import contents, orders, parcel, passwords
from deploy.core.enrolment.contents import ByCertificate, ByPassword, Credential, Open
from deploy.core.enrolment.orders import Identity
from deploy.core.enrolment.parcel import Parcel
from deploy.core.refusal import Refused
from deploy.core.rollouts.state import Member

PASSWORD_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Wanted:
    """A device, as its operator asks for it."""

    device: str
    tags: tuple[str, ...] | None = None
    """None: those that it has."""
    hardware: str = ""
    url: str | None = None
    """As the device reaches the broker; None: as we do."""
    camera: CameraKind = CameraKind.AUTO
    password: bool = False
    """Instead of a certificate."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """What is to be carried to the device."""

    parcel: Parcel
    member: Member
    credential: str
    """Fingerprint of the certificate, `password`, or empty: the broker asks for nothing."""
    void: int
    """Earlier certificates of this name that the broker must learn of."""


def enrol(workspace: Workspace, wanted: Wanted) -> Made:
    """
    Raises:
        Refused: the name or a tag is none, or a password would be sent in the open.
        ConfigError: the address of the broker, or a file of the workspace, is wrong.
        StoreFailed: the disk refused.
    """
    device, url = orders.new_id(wanted.device), wanted.url or workspace.settings.broker.url
    public = public_files(workspace)
    credential = _credential(workspace, device, url, password=wanted.password)
    name = contents.named(credential)
    known = membership.read_fleet(workspace).members.get(device)
    identity = Identity(device, orders.tags_of(known, wanted.tags), wanted.hardware, name)
    member = membership.admit(workspace, identity, wanted.why)
    key = membership.give_seal(workspace, device, secrets.token_bytes(KEY_BYTES))
    void = _void_others(workspace, device, credential)
    broker_files.refresh(workspace)
    config = device_config(workspace, device, url, wanted.camera, identity.tags)
    return Made(contents.parcel(config, credential, key, public), member, name, void)


def change_tags(workspace: Workspace, wanted: Wanted) -> Made:
    """As `enrol`, but the device keeps its keys, and is given a configuration only.

    Raises:
        Refused: it was never enrolled, or was expelled; or as `enrol`.
        ConfigError: as `enrol`.
        StoreFailed: as `enrol`.
    """
    device, url = orders.new_id(wanted.device), wanted.url or workspace.settings.broker.url
    known = orders.member(membership.read_fleet(workspace), device)
    identity = Identity(device, orders.tags_of(known, wanted.tags), wanted.hardware, known.credential)
    public = public_files(workspace)
    member = membership.admit(workspace, identity, wanted.why)
    config = device_config(workspace, device, url, wanted.camera, identity.tags)
    credential = contents.like(known.credential)
    return Made(contents.parcel(config, credential, None, public), member, known.credential, 0)


def revoke(workspace: Workspace, name: str, why: str) -> int:
    """Expel the device; how many of its certificates were good until now.

    Raises:
        Refused: it is no member.
        StoreFailed: the disk refused.
    """
    device = DeviceId(name)
    membership.expel(workspace, device, why)
    gone = membership.authority(workspace).revoke(device)
    kept = membership.read_passwords(workspace)
    if kept.pop(device, None) is not None:
        membership.write_passwords(workspace, kept)
    broker_files.refresh(workspace)
    return gone


def public_files(workspace: Workspace) -> dict[str, bytes]:
    """What is the same for every device of the fleet.

    Raises:
        ConfigError: one of the files cannot be read.
    """
    files = {"root.json": workspace.root_of_trust}
    if workspace.settings.broker.ca:
        files["ca.pem"] = Path(workspace.settings.broker.ca)
    try:
        return {name: path.read_bytes() for name, path in files.items()}
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error


def device_config(
    workspace: Workspace, device: DeviceId, url: str, camera: CameraKind, tags: tuple[str, ...]
) -> DeviceConfig:
    """Of a device that is set up as its package says."""
    broker = workspace.settings.broker
    return DeviceConfig(
        id=device,
        url=url,
        root=broker.root,
        protocol=broker.protocol,
        trust="root.json",
        stream=workspace.settings.fleet.stream,
        camera=camera,
        state_dir=parcel.STATE,
        tags=tags,
        subscribe_qos=broker.subscribe_qos,
    )


def _credential(workspace: Workspace, device: DeviceId, url: str, *, password: bool) -> Credential:
    encrypted = all(address.tls for address in parse_urls(url))
    if password and not encrypted:
        raise Refused(f"--password: {url} is not encrypted, anybody on the way would read it; use mqtts://")
    if password and workspace.settings.broker.certificate and url == workspace.settings.broker.url:
        raise Refused(
            f"--password: {url} is where certificates are asked for; name the listener for passwords with "
            "--broker, such as mqtts://HOST:8884 (shoal broker-config --password-port)"
        )
    if password:
        return _by_password(workspace, device)
    if not encrypted:
        return Open()
    pair = membership.authority(workspace).issue(device, Kind.CLIENT)
    return ByCertificate(pair.certificate, pair.key, pair.fingerprint)


def _by_password(workspace: Workspace, device: DeviceId) -> ByPassword:
    word, salt = secrets.token_urlsafe(PASSWORD_BYTES), secrets.token_bytes(passwords.SALT_BYTES)
    kept = membership.read_passwords(workspace)
    membership.write_passwords(workspace, kept | {device: passwords.line(device, word, salt)})
    return ByPassword(word)


def _void_others(workspace: Workspace, device: DeviceId, credential: Credential) -> int:
    """What the device was given before counts no more."""
    kept = None
    match credential:
        case ByCertificate(certificate=certificate):
            kept = Pair(certificate)
        case _:
            pass
    return membership.authority(workspace).revoke(device, keeping=kept)
