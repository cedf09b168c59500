"""Which files a device is given, and the configuration that names them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agent.wire import seal
from agent.wire.seal import DeviceKey
from deploy.core import device_config
from deploy.core.device_config import DeviceConfig
from deploy.core.enrolment.parcel import CONFIGURATION, Parcel


@dataclass(frozen=True, slots=True)
class ByCertificate:
    """The device shows the broker a certificate."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ByPassword:
    """It names itself and its password."""

    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Open:
    """The broker asks nobody who he is."""


Credential = ByCertificate | ByPassword | Open


def named(credential: Credential) -> str:
    """As the ledger remembers it."""
    match credential:
        case ByCertificate(fingerprint=fingerprint):
            return fingerprint
        case ByPassword():
            return "password"
        case Open():
            return ""


def like(name: str) -> Credential:
    """What a device with this name of a credential has by now: the files stay where they are."""
    match name:
        case "":
            return Open()
        case "password":
            return ByPassword("")
        case _:
            return ByCertificate(b"", b"", name)


def parcel(
    config: DeviceConfig, credential: Credential, key: DeviceKey | None, public: Mapping[str, bytes]
) -> Parcel:
    """What a device is given.

    Args:
        config: what the device is; its files are named here.
        credential: how it shows the broker who it is.
        key: what it seals with; None: what it was given before stays, and so does its credential.
        public: files that are the same for all: `root.json`, and `ca.pem` where the broker's authority is not
            one of those that every system knows.
    """
    ca = "ca.pem" if "ca.pem" in public else ""
    config = replace(_with(config, credential), seal_key_file="seal.key", ca=ca)
    files = {**public, CONFIGURATION: device_config.to_toml(config).encode()}
    if key is not None:
        files |= {"seal.key": seal.key_text(key), **_files(credential)}
    return Parcel(config.id, files)


def _with(config: DeviceConfig, credential: Credential) -> DeviceConfig:
    match credential:
        case ByCertificate():
            return replace(config, certificate="device.pem", key="device.key")
        case ByPassword():
            return replace(config, username=config.id, password_file="broker-password")  # noqa: S106 - a file's name
        case Open():
            return config


def _files(credential: Credential) -> dict[str, bytes]:
    match credential:
        case ByCertificate(certificate=certificate, key=key):
            return {"device.pem": certificate, "device.key": key}
        case ByPassword(password=password):
            return {"broker-password": f"{password}\n".encode()}
        case Open():
            return {}
