import socket
import ssl

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from agent.adapters.link_mqtt import LinkSettings
from agent.adapters.link_mqtt.refusals import End, Refused, lost, not_accepted, reachable, slammed
from agent.core.refusal import Refusal
from agent.wire.topics import MqttVersion

SETTINGS = LinkSettings("hub", 1883, "device-1", username="maker")


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED]")
    error.verify_message = "self-signed certificate"
    return error


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


def test_a_broker_that_slams_the_door_on_mqtt_5_may_not_speak_it():
    settings = LinkSettings("hub", 1883, "device-1", version=MqttVersion.MQTT_5)
    assert slammed(settings, "").reason == (
        "hub:1883 closed the connection before accepting it (does it speak MQTT 5?)"
    )
