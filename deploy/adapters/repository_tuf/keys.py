"""Private keys as files: one folder that stays offline, one on the machine that signs every day."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from agent.wire.errors import ConfigError
from deploy.adapters.secret_files import create_secret
from deploy.adapters.whole_file import make_folder


class Role(StrEnum):
    """TUF's four roles, and the two that `targets` delegates to."""

    ROOT = "root"
    TARGETS = "targets"
    MODELS = "models"
    ROLLOUTS = "rollouts"
    SNAPSHOT = "snapshot"
    TIMESTAMP = "timestamp"


OFFLINE: Final = frozenset({Role.ROOT, Role.TARGETS, Role.MODELS})


class KeyFolders:
    """Ed25519 keys in PEM (PKCS#8, no passphrase), `<role>-<first 8 digits of the key id>.pem`, mode 0600.

    The name follows from the signed metadata, so a key that was replaced is left where it is: it signs
    nothing any more.
    """

    def __init__(self, offline: Path, online: Path) -> None:
        self._offline = offline
        self._online = online

    def path(self, role: Role, keyid: str) -> Path:
        return (self._offline if role in OFFLINE else self._online) / f"{role}-{keyid[:8]}.pem"

    def save(self, role: Role, signer: CryptoSigner) -> None:
        """
        Raises:
            StoreFailed: the disk refused.
        """
        path = self.path(role, signer.public_key.keyid)
        make_folder(path.parent, 0o700)
        create_secret(path, signer.private_bytes)

    def signers(
        self, role: Role, keyids: Iterable[str], threshold: int, fresh: Mapping[str, CryptoSigner]
    ) -> list[CryptoSigner]:
        """As many signers as the role needs.

        Args:
            role: whose metadata is signed.
            keyids: the keys that count for it.
            threshold: how many of them must sign.
            fresh: signers by key id whose keys are not on disk yet.

        Raises:
            ConfigError: key files are missing or are not what their names say.
        """
        found, missing = [], []
        for keyid in keyids:
            path = self.path(role, keyid)
            if keyid in fresh:
                found.append(fresh[keyid])
            elif path.exists():
                found.append(_load(path, keyid))
            else:
                missing.append(path)
        if len(found) < threshold:
            raise ConfigError(_missing(role, missing, threshold - len(found)))
        return found[:threshold]


def _missing(role: Role, missing: list[Path], short: int) -> str:
    files = ", ".join(str(path) for path in missing)
    what = f"key file {files} is" if len(missing) == 1 else f"{short} more of the key files {files} are"
    return f"{role} cannot be signed: {what} needed and not there; bring the folder with the keys"


def _load(path: Path, keyid: str) -> CryptoSigner:
    try:
        signer = CryptoSigner(load_pem_private_key(path.read_bytes(), password=None))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path} is no unencrypted Ed25519 key in PEM: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if signer.public_key.keyid != keyid:
        raise ConfigError(f"{path} holds another key ({signer.public_key.keyid[:8]}) than its name says")
    return signer
