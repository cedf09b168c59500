"""The first start of a device from a factory image: it claims an identity, and keeps it."""

import logging
import os
import platform
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from agent.adapters import openssl, whole_file
from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import MqttLink
from agent.adapters.lock_folder import exclusive
from agent.adapters.notify_systemd import SystemdNotify
from agent.assemble import logs
from agent.assemble.links import link_settings
from agent.config import Settings, claimed
from agent.config.claimed import CERTIFICATE, FILE, KEY, NAME, SEAL_KEY, Identity
from agent.loops.claiming import Claim, Claiming
from agent.wire import claims, topics
from agent.wire.claims import ClaimAnswer, Token
from agent.wire.errors import ConfigError, Malformed, PortError, StoreFailed, Untrusted
from agent.wire.seal import DeviceKey, key_text
from agent.wire.topics import DeviceId

log = logging.getLogger(__name__)

NAME_BYTES: Final = 16
WORDS_MAX_CHARS: Final = 200


def claim(settings: Settings, *, verbose: bool) -> None:
    """Ask for an identity, wait for it, and lay it into the state folder.

    Raises:
        ConfigError: a file that the claim needs is missing or wrong, or openssl is.
        PortError: the state folder cannot be used, or openssl failed.
    """
    logs.start(verbose=verbose or settings.log.verbose)
    folder, key = claimed.folder(settings), claimed.folder(settings) / KEY
    with exclusive(Path(settings.device.state_dir)):
        asked = _claim(settings, _prepare(folder))
        link = replace(link_settings(settings.broker, DeviceId(asked.name), None), client_id=asked.name)
        # What the service manager said is for the agent that runs afterwards, too.
        notify = SystemdNotify(dict(os.environ))
        answer = Claiming(
            MqttLink(link),
            asked,
            SystemClock(),
            notify,
            lambda answer: _verify(answer, key, Path(settings.broker.ca)),
        ).run()
        _keep(settings, folder, answer)
    log.info("claim.accepted", extra={"device": answer.device})


def _claim(settings: Settings, name: str) -> Claim:
    return Claim(
        root=topics.root(settings.broker.root),
        name=name,
        token=_token(settings),
        request=openssl.request(claimed.folder(settings) / KEY, name).decode(),
        host=platform.node()[:WORDS_MAX_CHARS],
        machine=platform.machine(),
    )


def _token(settings: Settings) -> Token:
    path = Path(settings.claim.token_file)
    try:
        return claims.token_from(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"claim.token_file {path}: {error.strerror}") from error
    except Malformed as error:
        raise ConfigError(f"claim.token_file {path}: {error}") from error


def _prepare(folder: Path) -> str:
    """The name of the claim, which is kept with its key: a claim goes on over restarts."""
    named = folder / NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not named.exists():
            openssl.make_key(folder / KEY)
            whole_file.replace(named, secrets.token_hex(NAME_BYTES).encode())
        return named.read_text()
    except OSError as error:
        raise StoreFailed(f"{folder}: {error.strerror}") from error


def _verify(answer: ClaimAnswer, key: Path, authority: Path) -> None:
    """
    Raises:
        Untrusted: the certificate is for another key, or not by this authority.
    """
    certificate = answer.certificate.encode()
    try:
        ours = openssl.public_of_certificate(certificate) == openssl.public_of_key(key)
    except PortError as error:
        raise Untrusted(f"the claim's answer holds no certificate: {error}") from error
    if not ours:
        raise Untrusted("the claim's answer holds a certificate for another device's key")
    if not openssl.issued_by(certificate, authority):
        raise Untrusted("the claim's answer holds a certificate that the fleet's authority did not sign")


def _keep(settings: Settings, folder: Path, answer: ClaimAnswer) -> None:
    shared = openssl.shared_secret(folder / KEY, Path(settings.claim.enrolment_key))
    secret = claims.seal_secret(shared, topics.root(settings.broker.root), DeviceId(answer.device))
    identity = msgspec.json.encode(Identity(device=answer.device, tags=answer.tags))
    try:
        whole_file.replace(folder / CERTIFICATE, answer.certificate.encode())
        whole_file.replace(folder / SEAL_KEY, key_text(DeviceKey(secret, answer.boots_above)))
        whole_file.replace(folder / FILE, identity)
    except OSError as error:
        raise StoreFailed(f"{folder}: {error.strerror}") from error
