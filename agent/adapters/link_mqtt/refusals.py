"""Why there is no connection, in sentences that say what a person can do."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from paho.mqtt.reasoncodes import ReasonCode

from agent.adapters.link_mqtt.settings import LinkSettings
from agent.core.refusal import Refusal
from agent.wire.topics import MqttVersion


@dataclass(frozen=True, slots=True)
class End:
    """Why a connection ended, or did not come about."""

    reason: str
    hopeless: bool = False
    """Trying again is of no use until a person has mended something."""
    refusal: Refusal = Refusal.OTHER


class Refused(Exception):
    def __init__(self, end: End) -> None:
        super().__init__(end.reason)
        self.end = end


@contextmanager
def readable(what: str, path: Path) -> Iterator[None]:
    """Raises:
    Refused: a file that the connection needs cannot be used.
    """
    try:
        yield
    except ssl.SSLError as error:
        said = _said(str(error))
        raise Refused(
            End(f"{what} {path} is not what TLS needs: {said}", hopeless=True, refusal=Refusal.FILE)
        ) from error
    except UnicodeDecodeError as error:
        raise Refused(End(f"{what} {path} is not UTF-8 text", hopeless=True, refusal=Refusal.FILE)) from error
    except OSError as error:
        raise Refused(
            End(f"{what} {path} cannot be read: {error.strerror}", hopeless=True, refusal=Refusal.FILE)
        ) from error


@contextmanager
def reachable(settings: LinkSettings) -> Iterator[None]:
    """Raises:
    Refused: the broker cannot be reached, or TLS does not come about.
    """
    try:
        yield
    except (OSError, UnicodeError) as error:
        raise Refused(_unreachable(settings, error)) from error


def _unreachable(settings: LinkSettings, error: OSError | UnicodeError) -> End:
    place = settings.place
    match error:
        case socket.gaierror(errno=socket.EAI_NONAME) | UnicodeError():
            return End(
                f"no host is named {settings.host}: check the broker's name",
                hopeless=True,
                refusal=Refusal.NAME,
            )
        case socket.gaierror():
            return End(
                f"the name {settings.host} cannot be resolved now: {error.strerror}",
                refusal=Refusal.UNRESOLVED,
            )
        case ssl.SSLCertVerificationError():
            return End(
                f"the certificate of {place} is not trusted: {error.verify_message.rstrip('.')}",
                hopeless=error.verify_code != _EARLY,
                refusal=_DISTRUST.get(error.verify_code, Refusal.CERTIFICATE),
            )
        case ssl.SSLError():
            said = error.strerror or str(error)
            return _client_certificate(settings, said) or End(
                f"TLS with {place} failed: {_said(said)}", hopeless=True, refusal=Refusal.TLS
            )
        case ConnectionRefusedError():
            return End(f"no broker listens on {place}", refusal=Refusal.NOBODY)
        case ConnectionResetError():
            hint = " (does it speak TLS?)" if settings.tls else ""
            return End(f"{place} hung up at once{hint}", refusal=Refusal.HUNG_UP)
        case TimeoutError():
            return End(f"{place} does not answer", refusal=Refusal.SILENT)
        case _:
            return End(f"{place} cannot be reached: {error.strerror or error}", refusal=Refusal.UNREACHABLE)


_EARLY: Final = 9
_DISTRUST: Final = {
    _EARLY: Refusal.CERTIFICATE_EARLY,
    10: Refusal.CERTIFICATE_EXPIRED,
    62: Refusal.CERTIFICATE_NAME,
    64: Refusal.CERTIFICATE_NAME,
}
"""Source: OpenSSL, x509_vfy.h: X509_V_ERR_CERT_NOT_YET_VALID, _HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_
MISMATCH. Only the first mends itself, when the clock of a board without a battery has been set."""

_ALERT: Final = re.compile(
    r"\[SSL: (?:TLSV1|TLSV13|SSLV3)_ALERT_(?P<what>\w*CERTIFICATE\w*|UNKNOWN_CA|HANDSHAKE_FAILURE)\]"
)
"""What a broker answers that wants a certificate of the device, or another. With TLS 1.2 it says no more than
`handshake failure`, with 1.3 it says so after the handshake. Source: RFC 8446, 6.2; RFC 5246, 7.2.2."""
_SOURCE: Final = re.compile(r"\[[A-Z0-9_]+(?:: [A-Z0-9_]+)?\] | \(_ssl\.c:\d+\)$")


def _said(text: str) -> str:
    """An error of OpenSSL without its names for programmers."""
    return _SOURCE.sub("", text)


def _client_certificate(settings: LinkSettings, text: str) -> End | None:
    """The end that an alert about this device's certificate means; None where the text tells of none."""
    alert = _ALERT.search(text)
    if alert is None or settings.tls is None:
        return None
    path = settings.tls.certificate_path
    if alert["what"] == "HANDSHAKE_FAILURE" and path is not None:
        return None
    what = alert["what"].lower().replace("_", " ")
    said = (
        f"{settings.place} asks for a certificate of this device"
        if path is None
        else f"{settings.place} does not accept the certificate {path}"
    )
    return End(f"{said} ({what})", hopeless=True, refusal=Refusal.CLIENT_CERTIFICATE)


def not_accepted(settings: LinkSettings, code: ReasonCode) -> End:
    """The end that a CONNACK with a failure means."""
    match str(code):
        case "Bad user name or password" | "Not authorized":
            who = f"the user {settings.username}" if settings.username else "a client without a user name"
            return End(
                f"{settings.place} refuses {who}: check user name and password",
                hopeless=True,
                refusal=Refusal.CREDENTIALS,
            )
        case "Unsupported protocol version":
            return End(
                f"{settings.place} does not speak MQTT {settings.version}",
                hopeless=True,
                refusal=Refusal.PROTOCOL,
            )
        case "Client identifier not valid":
            return End(
                f"{settings.place} refuses the client id {settings.client_id!r}",
                hopeless=True,
                refusal=Refusal.CLIENT_ID,
            )
        case reason:
            return End(f"{settings.place} refuses the connection: {reason.lower()}")


def lost(settings: LinkSettings, code: ReasonCode, detail: str, *, by_broker: bool) -> End:
    """The end of a connection that had been accepted."""
    place, reason = settings.place, str(code)
    if by_broker:
        return End(f"{place} closed the connection: {reason.lower()}", reason == "Session taken over")
    if reason == "Keep alive timeout":
        return End(f"{place} fell silent for longer than the keepalive of {settings.keepalive_s} s")
    return End(f"the connection to {place} was lost{detail and f': {detail}'}")


def slammed(settings: LinkSettings, detail: str) -> End:
    """The end of a connection that closed before the broker's CONNACK."""
    refused = _client_certificate(settings, detail)
    if refused is not None:
        return refused
    doubts = [
        *(["speak MQTT 5"] if settings.version is MqttVersion.MQTT_5 else []),
        *(["want TLS"] if settings.tls is None else []),
    ]
    hint = f" (does it {' or '.join(doubts)}?)" if doubts else ""
    said = f": {_said(detail)}" if detail else ""
    return End(
        f"{settings.place} closed the connection before accepting it{hint}{said}", refusal=Refusal.HUNG_UP
    )
