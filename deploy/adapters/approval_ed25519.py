"""Signatures of a second person. Source: RFC 8032, Ed25519; keys as PKCS #8 (RFC 8410) in PEM."""

from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from agent.wire.errors import ConfigError
from deploy.adapters.secret_files import AlreadyThere, create_secret
from deploy.core.refusal import Refused


def create(path: Path) -> str:
    """Make a key, readable by its owner only; the public half, for `[approval] keys`.

    Raises:
        Refused: there is a file of this name.
        StoreFailed: the disk refused.
    """
    made = Ed25519PrivateKey.generate()
    content = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        create_secret(path, content)
    except AlreadyThere as error:
        raise Refused(f"{path} exists already: a key is never overwritten, name another file") from error
    return _public(made)


def signer(path: Path) -> Callable[[bytes], tuple[str, str]]:
    """Gives the public key and its signature.

    Raises:
        ConfigError: the file holds no such key.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"approval key {path}: {error.strerror}; shoal approver FILE makes one") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"approval key {path} is none: make one with shoal approver FILE") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"approval key {path} is no Ed25519 key: make one with shoal approver FILE")
    return lambda content: (_public(key), key.sign(content).hex())


def verify(key: str, signature: str, content: bytes) -> bool:
    """Whether the key, in hexadecimal digits, made the signature over the content."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), content)
    except (ValueError, InvalidSignature):
        return False
    return True


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
