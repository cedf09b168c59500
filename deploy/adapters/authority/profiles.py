"""What stands in the certificates of a fleet: RFC 5280, as strictly as Python 3.13 checks them by default."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

OWN_LIFE: Final = timedelta(days=20 * 365)
LIFE: Final = timedelta(days=2 * 365)
LIST_LIFE: Final = timedelta(days=10 * 365)
"""A broker with a list that has run out refuses everybody, and the list is carried to it by hand."""
BACKDATED: Final = timedelta(days=1)
"""A Raspberry Pi has no clock of its own and wakes a little in the past."""


class Kind(StrEnum):
    SERVER = "server"
    CLIENT = "client"


_USAGE = {Kind.SERVER: ExtendedKeyUsageOID.SERVER_AUTH, Kind.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, slots=True)
class Signatory:
    """Who signs, and when."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey
    now: datetime


def own(key: EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """The authority's certificate, which it signs itself."""
    name = _name(f"Shoal fleet authority {now:%Y-%m-%d}")
    return (
        _builder(key.public_key(), name, name, now, OWN_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def issued(
    name: str, key: EllipticCurvePublicKey, kind: Kind, hosts: Iterable[str], by: Signatory
) -> x509.Certificate:
    """A certificate for this key in this name; `hosts` are the names and addresses of a server."""
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
    builder = (
        _builder(key, _name(name), by.certificate.subject, by.now, LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USAGE[kind]]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
    alternatives = [_host(host) for host in hosts]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(by.key, hashes.SHA256())


def revocations(
    before: Iterable[x509.RevokedCertificate], serials: Iterable[int], number: int, by: Signatory
) -> x509.CertificateRevocationList:
    """The list with these serials added to those that stood in it."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(by.now - BACKDATED)
        .next_update(by.now + LIST_LIFE)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), critical=False
        )
    )
    for entry in before:
        builder = builder.add_revoked_certificate(entry)
    for serial in serials:
        gone = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(by.now)
        builder = builder.add_revoked_certificate(gone.build())
    return builder.sign(by.key, hashes.SHA256())


def _builder(
    key: EllipticCurvePublicKey, subject: x509.Name, issuer: x509.Name, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
