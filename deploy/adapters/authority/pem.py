"""Keys, certificates, requests and revocation lists in PEM."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from agent.wire.errors import ConfigError, Malformed

T = TypeVar("T")
REQUEST_MAX_BYTES: Final = 4_096


def fresh_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def list_pem(revocations: x509.CertificateRevocationList) -> bytes:
    return revocations.public_bytes(Encoding.PEM)


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` shows it, without the colons."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()


def serial(certificate: bytes) -> int:
    return x509.load_pem_x509_certificate(certificate).serial_number


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """
    Raises:
        ConfigError: the file is not there, or holds no key on P-256.
    """
    key = _read(path, partial(load_pem_private_key, password=None), "private key in PEM without a passphrase")
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigError(f"{path} is no key on the curve P-256")
    return key


def read_certificate(path: Path) -> x509.Certificate:
    """
    Raises:
        ConfigError: the file is not there, or holds no certificate.
    """
    return _read(path, x509.load_pem_x509_certificate, "certificate in PEM")


def read_list(path: Path) -> x509.CertificateRevocationList:
    """
    Raises:
        ConfigError: the file is not there, or holds no revocation list.
    """
    return _read(path, x509.load_pem_x509_crl, "revocation list in PEM")


def _read(path: Path, load: Callable[[bytes], T], said: str) -> T:
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path} is no {said}") from error


def requested_key(request: bytes) -> ec.EllipticCurvePublicKey:
    """The key of whoever made the certificate request (PKCS#10), which only its holder can have signed.

    Raises:
        Malformed: it is no request, its signature is wrong, or the key is not on P-256.
    """
    if len(request) > REQUEST_MAX_BYTES:
        raise Malformed(
            f"the certificate request has {len(request)} bytes, at most {REQUEST_MAX_BYTES} are read"
        )
    try:
        parsed = x509.load_pem_x509_csr(request)
        key, genuine = parsed.public_key(), parsed.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise Malformed("the certificate request is none in PEM") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Malformed("the certificate request is for a key that is not on the curve P-256")
    if not genuine:
        raise Malformed("the certificate request was not signed by the key that it is for")
    return key
