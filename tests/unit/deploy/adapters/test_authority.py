import base64
import shutil
import subprocess
from datetime import timedelta

import pytest
from cryptography import x509

from agent.adapters import openssl
from agent.adapters.clock_system import SystemClock
from agent.wire.claims import hkdf, seal_secret
from agent.wire.errors import ConfigError, Malformed
from agent.wire.topics import DeviceId, Root
from deploy.adapters.authority import Authority
from deploy.adapters.authority.profiles import LIFE, Kind
from tests.fakes.clock import FakeClock


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca", FakeClock())


def test_a_certificate_bears_the_name_that_it_was_issued_for_and_lasts_two_years(authority):
    pair = authority.issue("pi-1", Kind.CLIENT)
    made = x509.load_pem_x509_certificate(pair.certificate)
    assert made.subject.rfc4514_string() == "CN=pi-1"
    assert made.not_valid_after_utc == FakeClock().now() + LIFE
    assert made.not_valid_after_utc - made.not_valid_before_utc > timedelta(days=729)


def test_what_a_device_asks_to_be_called_does_not_matter(authority, tmp_path):
    _require_openssl()
    openssl.make_key(tmp_path / "key")
    pair = authority.sign_request(openssl.request(tmp_path / "key", "operator"), "pi-1")
    made = x509.load_pem_x509_certificate(pair.certificate)
    assert made.subject.rfc4514_string() == "CN=pi-1"
    assert openssl.public_of_certificate(pair.certificate) == openssl.public_of_key(tmp_path / "key")


@pytest.mark.parametrize("request_", [b"", b"-----BEGIN CERTIFICATE REQUEST-----\n", b"x" * 10_000])
def test_what_is_no_request_is_refused(authority, request_):
    with pytest.raises(Malformed, match="certificate request"):
        authority.sign_request(request_, "pi-1")


def test_a_request_of_another_version_is_refused(authority, tmp_path):
    _require_openssl()
    openssl.make_key(tmp_path / "key")
    der = base64.b64decode(b"".join(openssl.request(tmp_path / "key", "x").splitlines()[1:-1]))
    later = base64.encodebytes(der.replace(b"\x02\x01\x00", b"\x02\x01\x05", 1))
    label = b"CERTIFICATE REQUEST-----\n"
    with pytest.raises(Malformed, match="none in PEM"):
        authority.sign_request(b"-----BEGIN " + label + later + b"-----END " + label, "pi-1")


def test_a_request_for_a_key_of_another_kind_is_refused(authority, tmp_path):
    _require_openssl()
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "key"], check=True)
    with pytest.raises(Malformed, match="P-256"):
        authority.sign_request(openssl.request(tmp_path / "key", "pi-1"), "pi-1")


def test_all_of_a_name_are_revoked_but_the_one_that_is_kept(authority):
    first, second = (authority.issue("pi-1", Kind.CLIENT) for _ in range(2))
    other = authority.issue("pi-2", Kind.CLIENT)
    assert authority.revoke("pi-1", keeping=second) == 1
    assert _revoked(authority) == {_serial(first)}
    assert [authority.revoke("pi-1"), authority.revoke("pi-1"), authority.revoke("nobody")] == [1, 0, 0]
    assert _revoked(authority) == {_serial(first), _serial(second)}
    assert _serial(other) not in _revoked(authority)


def _serial(pair):
    return x509.load_pem_x509_certificate(pair.certificate).serial_number


def _revoked(authority):
    return {entry.serial_number for entry in x509.load_pem_x509_crl(authority.revocations)}


def test_it_is_the_same_when_it_is_opened_again_and_its_key_is_its_owners(authority, tmp_path):
    again = Authority(tmp_path / "ca", FakeClock())
    assert (again.certificate, again.enrolment_key) == (authority.certificate, authority.enrolment_key)
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "ca").glob("*.key")} == {"0o600"}


def test_a_damaged_key_is_told(authority, tmp_path):
    assert authority.certificate
    (tmp_path / "ca/ca.key").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"ca\.key is no private key"):
        Authority(tmp_path / "ca", FakeClock())


def test_device_and_operator_come_to_the_same_seal_without_sending_it(authority, tmp_path):
    _require_openssl()
    openssl.make_key(tmp_path / "key")
    (tmp_path / "enrolment.pem").write_bytes(authority.enrolment_key)
    device = openssl.shared_secret(tmp_path / "key", tmp_path / "enrolment.pem")
    operator = authority.shared_secret(openssl.request(tmp_path / "key", "any"))
    assert device == operator
    keys = {seal_secret(device, Root(root), DeviceId(name)) for root in ("a", "b") for name in ("1", "2")}
    assert len(keys) == 4


def test_the_key_derivation_is_that_of_rfc_5869():
    """Appendix A.1."""
    made = hkdf(b"\x0b" * 22, bytes(range(0xF0, 0xFA)), bytes(range(13)), 42)
    assert made.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_an_answer_by_another_authority_is_told_apart(tmp_path):
    """By openssl, which goes by the machine's own clock."""
    _require_openssl()
    authority, other = (Authority(tmp_path / name, SystemClock()) for name in ("own", "other"))
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    ours, theirs = (each.issue("pi-1", Kind.CLIENT).certificate for each in (authority, other))
    server = authority.issue("server", Kind.SERVER, ["127.0.0.1"]).certificate
    verdicts = [openssl.issued_by(each, tmp_path / "ca.pem") for each in (ours, theirs, server, b"x")]
    assert verdicts == [True, False, False, False]


def test_where_there_is_no_openssl_a_person_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="apt install openssl"):
        openssl.make_key(tmp_path / "key")


def _require_openssl():
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
