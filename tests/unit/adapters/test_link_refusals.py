import socket
import ssl
from pathlib import Path

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from agent.adapters.link_mqtt import LinkSettings, Tls
from agent.adapters.link_mqtt.refusals import End, Refused, lost, not_accepted, reachable, readable, slammed
from agent.core.refusal import Refusal
from agent.wire.topics import MqttVersion

SETTINGS = LinkSettings("hub", 1883, "device-1", username="maker")


def untrusted(code=18, message="self-signed certificate") -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED]")
    error.verify_code, error.verify_message = code, message
    return error


def distrusted(message, refusal, *, hopeless=True) -> End:
    return End(f"the certificate of hub:1883 is not trusted: {message}", hopeless=hopeless, refusal=refusal)


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            End("no host is named hub: check the broker's name", hopeless=True, refusal=Refusal.NAME),
        ),
        (
            UnicodeError("label too long"),
            End("no host is named hub: check the broker's name", hopeless=True, refusal=Refusal.NAME),
        ),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            End(
                "the name hub cannot be resolved now: Temporary failure in name resolution",
                refusal=Refusal.UNRESOLVED,
            ),
        ),
        (
            untrusted(),
            End(
                "the certificate of hub:1883 is not trusted: self-signed certificate",
                hopeless=True,
                refusal=Refusal.CERTIFICATE,
            ),
        ),
        (
            untrusted(10, "certificate has expired"),
            distrusted("certificate has expired", Refusal.CERTIFICATE_EXPIRED),
        ),
        (
            untrusted(9, "certificate is not yet valid"),
            distrusted("certificate is not yet valid", Refusal.CERTIFICATE_EARLY, hopeless=False),
        ),
        (
            untrusted(62, "Hostname mismatch, certificate is not valid for 'hub'."),
            distrusted("Hostname mismatch, certificate is not valid for 'hub'", Refusal.CERTIFICATE_NAME),
        ),
        (
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"),
            End("TLS with hub:1883 failed: wrong version number", hopeless=True, refusal=Refusal.TLS),
        ),
        (
            ssl.SSLError(1, "handshake failure"),
            End("TLS with hub:1883 failed: handshake failure", hopeless=True, refusal=Refusal.TLS),
        ),
        (
            ConnectionRefusedError(111, "Connection refused"),
            End("no broker listens on hub:1883", refusal=Refusal.NOBODY),
        ),
        (
            ConnectionResetError(104, "Connection reset by peer"),
            End("hub:1883 hung up at once", refusal=Refusal.HUNG_UP),
        ),
        (TimeoutError("timed out"), End("hub:1883 does not answer", refusal=Refusal.SILENT)),
        (
            OSError(101, "Network is unreachable"),
            End("hub:1883 cannot be reached: Network is unreachable", refusal=Refusal.UNREACHABLE),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_failure_to_reach_the_broker_has_a_sentence_and_says_whether_to_hope(error, end):
    with pytest.raises(Refused) as refused, reachable(SETTINGS):
        raise error
    assert refused.value.end == end


@pytest.mark.parametrize(
    ("name", "end"),
    [
        (
            "Bad user name or password",
            End(
                "hub:1883 refuses the user maker: check user name and password",
                hopeless=True,
                refusal=Refusal.CREDENTIALS,
            ),
        ),
        (
            "Unsupported protocol version",
            End("hub:1883 does not speak MQTT 3.1.1", hopeless=True, refusal=Refusal.PROTOCOL),
        ),
        (
            "Client identifier not valid",
            End("hub:1883 refuses the client id 'device-1'", hopeless=True, refusal=Refusal.CLIENT_ID),
        ),
        ("Server busy", End("hub:1883 refuses the connection: server busy")),
    ],
)
def test_each_refusal_of_the_broker_has_a_sentence(name, end):
    assert not_accepted(SETTINGS, ReasonCode(PacketTypes.CONNACK, name)) == end


@pytest.mark.parametrize(
    ("name", "by_broker", "end"),
    [
        ("Keep alive timeout", False, End("hub:1883 fell silent for longer than the keepalive of 30 s")),
        ("Unspecified error", False, End("the connection to hub:1883 was lost: reset by peer")),
        ("Server shutting down", True, End("hub:1883 closed the connection: server shutting down")),
        (
            "Session taken over",
            True,
            End("hub:1883 closed the connection: session taken over", hopeless=True),
        ),
    ],
)
def test_each_loss_has_a_sentence(name, by_broker, end):
    code = ReasonCode(PacketTypes.DISCONNECT, name)
    assert lost(SETTINGS, code, "reset by peer", by_broker=by_broker) == end


OWN = Tls(certificate_path=Path("own.crt"))


@pytest.mark.parametrize(
    ("tls", "detail", "reason"),
    [
        (
            Tls(),
            "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2580)",
            "hub:1883 asks for a certificate of this device (certificate required)",
        ),
        (
            Tls(),
            "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure (_ssl.c:1006)",
            "hub:1883 asks for a certificate of this device (handshake failure)",
        ),
        (
            OWN,
            "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:2580)",
            "hub:1883 does not accept the certificate own.crt (unknown ca)",
        ),
        (
            OWN,
            "[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert certificate expired (_ssl.c:2580)",
            "hub:1883 does not accept the certificate own.crt (certificate expired)",
        ),
    ],
)
def test_a_broker_that_wants_another_certificate_of_the_device_is_told_apart(tls, detail, reason):
    settings = LinkSettings("hub", 1883, "device-1", tls=tls)
    wanted = End(reason, hopeless=True, refusal=Refusal.CLIENT_CERTIFICATE)
    assert slammed(settings, f"failed to receive on socket: {detail}") == wanted
    with pytest.raises(Refused) as refused, reachable(settings):
        raise ssl.SSLError(1, detail)
    assert refused.value.end == wanted


def test_a_handshake_that_fails_with_a_certificate_is_not_blamed_on_it():
    settings = LinkSettings("hub", 1883, "device-1", tls=OWN)
    detail = "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure (_ssl.c:1006)"
    with pytest.raises(Refused) as refused, reachable(settings):
        raise ssl.SSLError(1, detail)
    assert refused.value.end.refusal is Refusal.TLS


def test_a_password_that_is_no_text_is_told_and_does_not_end_the_thread():
    with pytest.raises(Refused) as refused, readable("the password file", Path("word")):
        b"\xff".decode()
    assert refused.value.end == End(
        "the password file word is not UTF-8 text", hopeless=True, refusal=Refusal.FILE
    )


def test_a_broker_that_slams_the_door_on_mqtt_5_may_not_speak_it():
    settings = LinkSettings("hub", 1883, "device-1", version=MqttVersion.MQTT_5)
    assert slammed(settings, "").reason == (
        "hub:1883 closed the connection before accepting it (does it speak MQTT 5 or want TLS?)"
    )
