"""The fleet's own certificate authority: a folder whose key never leaves it, and what that key has signed.

    ca.pem, ca.key           P-256, 20 years, made on first use
    crl.pem                  what was taken back
    enrolment.key            P-256; what a device that claims its identity shares a secret with
    issued/<name>/<serial>   every certificate that a name was ever given

A broker that trusts `ca.pem` lets in whom this authority has signed, each under its common name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)

from agent.ports.clock import Clock
from deploy.adapters.authority import pem, profiles
from deploy.adapters.authority.profiles import Kind, Signatory
from deploy.adapters.secret_files import write_secret


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and, where it was made here, its private key, both in PEM."""

    certificate: bytes
    key: bytes = b""

    @property
    def fingerprint(self) -> str:
        return pem.fingerprint(self.certificate)


class Authority:
    """Makes its key and its empty revocation list where the folder has none.

    Raises:
        ConfigError: what lies in the folder cannot be read.
        StoreFailed: the disk refused.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        if not (folder / "crl.pem").exists():
            self._begin()
        self._key = pem.read_key(folder / "ca.key")
        self._own = pem.read_certificate(folder / "ca.pem")

    @property
    def certificate(self) -> bytes:
        """Whom brokers and devices trust, in PEM."""
        return pem.certificate_pem(self._own)

    @property
    def revocations(self) -> bytes:
        """In PEM, for a broker's `crlfile`."""
        return pem.list_pem(pem.read_list(self._folder / "crl.pem"))

    def issue(self, name: str, kind: Kind, hosts: Sequence[str] = ()) -> Pair:
        """A fresh key, and a certificate for it in this name.

        Raises:
            StoreFailed: the disk refused.
        """
        key = pem.fresh_key()
        return Pair(self._sign(name, key.public_key(), kind, hosts), pem.key_pem(key))

    def sign_request(self, request: bytes, name: str) -> Pair:
        """A client's certificate in this name, whatever name the request (PKCS#10) asks for.

        Raises:
            Malformed: it is no request that its key has signed, or its key is not on P-256.
            StoreFailed: the disk refused.
        """
        return Pair(self._sign(name, pem.requested_key(request), Kind.CLIENT, ()))

    @property
    def enrolment_key(self) -> bytes:
        """Public, in PEM."""
        return pem.public_pem(self._enrolment().public_key())

    def shared_secret(self, request: bytes) -> bytes:
        """ECDH of the enrolment key and the key of this certificate request (PKCS#10).

        Raises:
            Malformed: as `sign_request`.
        """
        return self._enrolment().exchange(ECDH(), pem.requested_key(request))

    def _enrolment(self) -> EllipticCurvePrivateKey:
        path = self._folder / "enrolment.key"
        if not path.exists():
            write_secret(path, pem.key_pem(pem.fresh_key()))
        return pem.read_key(path)

    def revoke(self, name: str, keeping: Pair | None = None) -> int:
        """Take back every certificate of this name, but for one; how many of them were good until now.

        Raises:
            ConfigError: one of the files cannot be read.
            StoreFailed: the disk refused.
        """
        before = pem.read_list(self._folder / "crl.pem")
        gone = {entry.serial_number for entry in before}
        spared = gone if keeping is None else gone | {pem.serial(keeping.certificate)}
        issued = (self._folder / "issued" / name).glob("*.pem")
        good = [serial for path in issued if (serial := int(path.stem, 16)) not in spared]
        if good:
            number = len(gone) + len(good)
            made = profiles.revocations(before, good, number, self._signatory())
            write_secret(self._folder / "crl.pem", pem.list_pem(made))
        return len(good)

    def _begin(self) -> None:
        """The list is written last: without it nothing was signed yet, and all is made anew."""
        key, now = pem.fresh_key(), self._clock.now()
        own = profiles.own(key, now)
        empty = profiles.revocations((), (), 0, Signatory(own, key, now))
        write_secret(self._folder / "ca.key", pem.key_pem(key))
        write_secret(self._folder / "ca.pem", pem.certificate_pem(own))
        write_secret(self._folder / "crl.pem", pem.list_pem(empty))

    def _sign(self, name: str, key: EllipticCurvePublicKey, kind: Kind, hosts: Sequence[str]) -> bytes:
        made = profiles.issued(name, key, kind, hosts, self._signatory())
        content = pem.certificate_pem(made)
        write_secret(self._folder / "issued" / name / f"{made.serial_number:x}.pem", content)
        return content

    def _signatory(self) -> Signatory:
        return Signatory(self._own, self._key, self._clock.now())
