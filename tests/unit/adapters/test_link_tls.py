"""TLS, client certificates and passwords, against a mosquitto that demands them."""

import datetime as dt
import ipaddress
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.adapters.link_mqtt import LinkSettings, MqttLink, Tls
from agent.ports.link import Down, LinkState, Message, Outgoing, Up
from agent.wire.topics import MqttVersion, Qos
from deploy.adapters.broker_local import BrokerKind, mosquitto_path, start_broker
from tests.brokers import WAIT_S, Inbox, require

NOW = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
LATER = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)
SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Identity:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def issue(
    name: str, by: Identity | None = None, address: str = "127.0.0.1", *, sloppy: bool = False
) -> Identity:
    """A certificate as RFC 5280 wants it; a sloppy one does not say who signed it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = by.key if by else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(LATER)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
        )
    )
    if by is None:
        builder = builder.add_extension(SIGNS_CERTIFICATES, critical=True)
    if not sloppy:
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(signed_by, critical=False)
    return Identity(builder.sign(signer, hashes.SHA256()), key)


def write(folder: Path, name: str, identity: Identity, passphrase: bytes | None = None) -> None:
    """`name.crt` and `name.key`."""
    (folder / f"{name}.crt").write_bytes(identity.certificate.public_bytes(serialization.Encoding.PEM))
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    pem = identity.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    (folder / f"{name}.key").write_bytes(pem)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority = issue("authority")
    write(folder, "ca", authority)
    write(folder, "stranger", issue("stranger"))
    write(folder, "server", issue("server", authority))
    write(folder, "elsewhere", issue("elsewhere", authority, address="127.0.0.2"))
    write(folder, "sloppy", issue("sloppy", authority, sloppy=True))
    device = issue("device", authority)
    write(folder, "device", device)
    write(folder, "locked", device, b"secret")
    (folder / "password").write_text("correct horse\n")
    (folder / "wrong").write_text("battery staple\n")
    return folder


@contextmanager
def guarded(folder: Path, server: str, *demands: str) -> Iterator[int]:
    """A mosquitto behind TLS on a free port of its own, beside the open one that `start_broker` gives."""
    require(BrokerKind.MOSQUITTO)
    found = mosquitto_path()
    assert found is not None
    with start_broker(folder / server, kind=BrokerKind.MOSQUITTO) as spare:
        port = spare.port
    settings = folder / f"{server}.conf"
    lines = [
        f"listener {port} 127.0.0.1",
        f"cafile {folder}/ca.crt",
        f"certfile {folder}/{server}.crt",
        f"keyfile {folder}/{server}.key",
        "user root",
        *demands,
    ]
    settings.write_text("\n".join([*lines, ""]))
    with subprocess.Popen([found, "-c", str(settings)], stderr=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def port_with_password(folder) -> Iterator[int]:
    require(BrokerKind.MOSQUITTO)
    passwords = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "maker", "correct horse"], check=True)
    passwords.chmod(0o600)
    with guarded(folder, "server", "allow_anonymous false", f"password_file {passwords}") as port:
        yield port


@pytest.fixture(scope="module")
def port_with_certificates(folder) -> Iterator[int]:
    with guarded(folder, "server", "require_certificate true", "use_identity_as_username true") as port:
        yield port


@pytest.fixture(scope="module")
def port_of_another_host(folder) -> Iterator[int]:
    with guarded(folder, "elsewhere", "allow_anonymous true") as port:
        yield port


@pytest.fixture(scope="module")
def port_with_sloppy_certificate(folder) -> Iterator[int]:
    with guarded(folder, "sloppy", "allow_anonymous true") as port:
        yield port


@contextmanager
def opened(port: int, **settings: object) -> Iterator[tuple[MqttLink, Inbox[LinkState]]]:
    states: Inbox[LinkState] = Inbox()
    link = MqttLink(
        LinkSettings("127.0.0.1", port, "device-1", backoff_base_s=0.05, backoff_cap_s=0.2, **settings)
    )
    try:
        link.open(states)
        yield link, states
    finally:
        link.close()


def reason(port: int, expected: str, **settings: object) -> None:
    """Waits until the link says so: the broker may still be starting."""
    with opened(port, **settings) as (_, states):
        states.wait_until(
            lambda seen: any(isinstance(state, Down) and expected in state.reason for state in seen)
        )
        assert not any(isinstance(state, Up) for state in states.items)


@pytest.mark.parametrize("version", MqttVersion)
def test_messages_pass_with_the_right_authority_and_password(folder, port_with_password, version):
    with opened(
        port_with_password,
        version=version,
        tls=Tls(ca_path=folder / "ca.crt"),
        username="maker",
        password_path=folder / "password",
    ) as (link, states):
        states.wait_until(lambda seen: isinstance(seen[-1], Up))
        inbox: Inbox[Message] = Inbox()
        payloads = [bytes([n]) * 65_536 for n in range(8)]
        for n, payload in enumerate(payloads):
            link.publish(Outgoing(f"tls/{n}", payload, Qos.AT_LEAST_ONCE, retain=True)).result(WAIT_S)
        link.subscribe([f"tls/{n}" for n in range(8)], Qos.AT_LEAST_ONCE, inbox)
        assert [message.payload for message in inbox.wait_for(8)] == payloads


def test_a_wrong_password_is_told(folder, port_with_password):
    reason(
        port_with_password,
        "refuses the user maker: check user name and password",
        tls=Tls(ca_path=folder / "ca.crt"),
        username="maker",
        password_path=folder / "wrong",
    )


def test_a_password_is_read_again_at_each_attempt(folder, port_with_password, tmp_path):
    password = tmp_path / "password"
    with opened(
        port_with_password, tls=Tls(ca_path=folder / "ca.crt"), username="maker", password_path=password
    ) as (_, states):
        first = states.wait_for(1)[0]
        assert isinstance(first, Down)
        assert first.reason == f"the password file {password} cannot be read: No such file or directory"
        password.write_text("correct horse\n")
        states.wait_until(lambda seen: isinstance(seen[-1], Up))


def test_a_certificate_lets_a_device_in(folder, port_with_certificates):
    tls = Tls(folder / "ca.crt", folder / "device.crt", folder / "device.key")
    with opened(port_with_certificates, tls=tls) as (_, states):
        states.wait_until(lambda seen: isinstance(seen[-1], Up))


@pytest.mark.parametrize(
    ("tls", "because"),
    [
        (("ca.crt", None, None), "asks for a certificate of this device"),
        (("ca.crt", "stranger.crt", "stranger.key"), "does not accept the certificate"),
        (("ca.crt", "device.crt", "stranger.key"), "is not what TLS needs"),
        (("ca.crt", "device.crt", "locked.key"), "is not what TLS needs"),
        (("ca.crt", "absent.crt", "device.key"), "absent.crt cannot be read: No such file"),
        (("ca.crt", "device.crt", "absent.key"), "absent.key cannot be read: No such file"),
        (("absent.crt", None, None), "the CA file"),
        (("device.key", None, None), "is not what TLS needs"),
        (("stranger.crt", None, None), "is not trusted"),
    ],
)
def test_what_is_wrong_with_the_certificates_is_told(folder, port_with_certificates, tls, because):
    paths = [name and folder / name for name in tls]
    reason(port_with_certificates, because, tls=Tls(*paths))


def test_the_certificate_of_another_host_is_refused(folder, port_of_another_host):
    reason(port_of_another_host, "is not trusted: IP address mismatch", tls=Tls(ca_path=folder / "ca.crt"))


def test_a_sloppy_certificate_is_refused_by_every_python(folder, port_with_sloppy_certificate):
    because = "is not trusted: Missing Authority Key Identifier"
    reason(port_with_sloppy_certificate, because, tls=Tls(ca_path=folder / "ca.crt"))


def test_a_broker_without_tls_is_told_apart(folder, brokers):
    port = brokers(BrokerKind.MOSQUITTO).port
    reason(port, "hung up at once (does it speak TLS?)", tls=Tls(ca_path=folder / "ca.crt"))
