"""Keys and certificates by the `openssl` command, which every Raspberry Pi OS has: the agent brings no
cryptography of its own. Secrets go through files and pipes, never through arguments.
"""

import os
import subprocess
from pathlib import Path
from typing import Final

from agent.wire.errors import ConfigError, PortError

COMMAND_S: Final = 60.0
"""Making a key takes long where a machine has just started and is short of randomness."""
SHARED_BYTES: Final = 32


def make_key(path: Path) -> None:
    """A private key on P-256, readable by its owner only.

    Raises:
        ConfigError: there is no openssl here.
        PortError: it failed.
    """
    made = _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "wb") as file:
        file.write(made)
        file.flush()
        os.fsync(file.fileno())


def request(key: Path, name: str) -> bytes:
    """A certificate request (PKCS#10) in PEM, signed by the key.

    Raises:
        ConfigError: there is no openssl here.
        PortError: it failed.
    """
    return _openssl("req", "-new", "-sha256", "-key", str(key), "-subj", f"/CN={name}")


def public_of_key(key: Path) -> bytes:
    """In PEM.

    Raises:
        ConfigError: there is no openssl here.
        PortError: it failed.
    """
    return _openssl("pkey", "-in", str(key), "-pubout")


def public_of_certificate(certificate: bytes) -> bytes:
    """In PEM.

    Raises:
        ConfigError: there is no openssl here.
        PortError: it is no certificate.
    """
    return _openssl("x509", "-noout", "-pubkey", given=certificate)


def issued_by(certificate: bytes, authority: Path) -> bool:
    """Whether this authority signed it, for a client, and it is good now.

    Raises:
        ConfigError: there is no openssl here.
    """
    try:
        _openssl(
            "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", str(authority), given=certificate
        )
    except PortError:
        return False
    return True


def shared_secret(key: Path, peer: Path) -> bytes:
    """ECDH on P-256: the x coordinate. Source: SEC 1, section 3.3.1.

    Raises:
        ConfigError: there is no openssl here.
        PortError: it failed, or the keys are not on one curve.
    """
    made = _openssl("pkeyutl", "-derive", "-inkey", str(key), "-peerkey", str(peer))
    if len(made) != SHARED_BYTES:
        raise PortError(f"openssl derived {len(made)} bytes, a key on P-256 gives {SHARED_BYTES}")
    return made


def _openssl(*arguments: str, given: bytes = b"") -> bytes:
    command = arguments[0]
    try:
        done = subprocess.run(
            ["openssl", *arguments],  # noqa: S607 - wherever the system has it
            input=given,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise ConfigError(
            "openssl is not installed, and without it no identity can be claimed: apt install openssl"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PortError(f"openssl {command}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise PortError(f"openssl {command}: {said[-1][:200] if said else 'it failed without a word'}")
    return done.stdout
