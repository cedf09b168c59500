"""Why there is no connection, in sentences that say what a person can do."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
        raise Refused(
            End(f"{what} {path} is not what TLS needs: {error}", hopeless=True, refusal=Refusal.FILE)
        ) from error
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
                f"the certificate of {place} is not trusted: {error.verify_message}",
                hopeless=True,
                refusal=Refusal.CERTIFICATE,
            )
        case ssl.SSLError():
            return End(
                f"TLS with {place} failed: {error.strerror or error}", hopeless=True, refusal=Refusal.TLS
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
    hint = f" (does it speak MQTT {settings.version}?)" if settings.version is MqttVersion.MQTT_5 else ""
    said = f": {detail}" if detail else ""
    return End(
        f"{settings.place} closed the connection before accepting it{hint}{said}", refusal=Refusal.HUNG_UP
    )
