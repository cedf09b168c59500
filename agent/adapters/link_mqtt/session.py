"""One connection to a broker, from connect to its end."""

import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.exception import MQTTException
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.adapters.link_mqtt.bell import Bell
from agent.adapters.link_mqtt.refusals import End, lost, not_accepted, reachable, readable, slammed
from agent.adapters.link_mqtt.settings import LinkSettings, Tls
from agent.ports.link import Message, Outgoing
from agent.wire.errors import LinkDown
from agent.wire.topics import MqttVersion, Qos

CONNECT_S: Final = 5.0
"""For the TCP connection, for the TLS handshake, and for the broker's CONNACK: each."""
PACKET_MAX_BYTES: Final = 1_048_576
"""Told to the broker, where it speaks MQTT 5."""

_PROTOCOLS = {
    MqttVersion.MQTT_3_1_1: MQTTProtocolVersion.MQTTv311,
    MqttVersion.MQTT_5: MQTTProtocolVersion.MQTTv5,
}
_MALFORMED = (MQTTException, struct.error, LookupError, ValueError, TypeError, AssertionError)
"""What paho raises on bytes that are not MQTT."""


@dataclass(frozen=True, slots=True)
class Publish:
    outgoing: Outgoing
    future: Future[None]


@dataclass(frozen=True, slots=True)
class Subscribe:
    filters: dict[str, Qos]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    filters: frozenset[str]


Letter = Publish | Subscribe | Unsubscribe


class Session:
    """Used by the link's thread only. `end` is None as long as there is hope or a connection."""

    def __init__(self, settings: LinkSettings, deliver: Callable[[Message], None]) -> None:
        self.accepted = False
        self.end: End | None = None
        self._settings = settings
        self._deliver = deliver
        self._futures: dict[int, Future[None]] = {}
        self._standing: set[str] = set()
        self._leaving: dict[int, frozenset[str]] = {}
        self._held: list[dict[str, Qos]] = []
        self._complaint = ""
        self._client = self._make_client()

    @property
    def place(self) -> str:
        return self._settings.place

    @property
    def idle(self) -> bool:
        """Whether everything that was published has gone, and was acknowledged where it is to be."""
        return not self._futures and not self._client.want_write()

    def connect(self) -> None:
        """Open the connection and send CONNECT; the broker's answer sets `accepted` or `end`.

        Raises:
            Refused: with what a person can do about it.
        """
        self._present_credentials()
        options: dict[str, Any] = {}
        if self._settings.version is MqttVersion.MQTT_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = PACKET_MAX_BYTES
            options = {"clean_start": True, "properties": properties}
        with reachable(self._settings):
            self._client.connect(
                self._settings.host, self._settings.port, self._settings.keepalive_s, **options
            )

    def turn(self, bell: Bell, within_s: float = 1.0) -> None:
        """Wait that long for the socket or the bell, and do what is due."""
        connection = self._client.socket()
        if connection is None:
            self._finish(slammed(self._settings, self._complaint))
            return
        wait_s = min(within_s, self._settings.keepalive_s / 4)
        reads, writes = bell.wait(wait_s, connection.fileno(), writes=self._client.want_write())
        try:
            self._exchange(connection, reads=reads, writes=writes)
        except _MALFORMED as error:
            self.abandon(f"{self._settings.place} sent what is not MQTT: {error}")

    def perform(self, letter: Letter) -> None:
        match letter:
            case Publish(outgoing, future):
                self._publish(outgoing, future)
            case Subscribe(filters):
                self.subscribe(filters)
            case Unsubscribe(filters):
                self._unsubscribe(filters)

    def subscribe(self, filters: dict[str, Qos]) -> None:
        """Ask for filters in one packet, once the broker has confirmed that none of them stands any more:
        some brokers handle an UNSUBSCRIBE after the SUBSCRIBE that followed it.
        """
        self._leave(self._standing.intersection(filters))
        self._held.append(filters)
        self._ask()

    def say_goodbye(self) -> None:
        """A clean DISCONNECT: the broker forgets the will."""
        self._client.disconnect()
        self._client.loop_write()
        self.abandon("the link was closed")

    def abandon(self, reason: str) -> None:
        """Close the socket without a word, if it is open."""
        connection = self._client.socket()
        if connection is not None:
            connection.close()
        self._finish(End(reason))

    def fail(self, letters: Iterable[Letter]) -> None:
        """Tell the publishers of letters that came too late."""
        for letter in letters:
            if isinstance(letter, Publish):
                letter.future.set_exception(LinkDown(f"{letter.outgoing.topic} was not published"))

    def _make_client(self) -> Client:
        settings = self._settings
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=_PROTOCOLS[settings.version],
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        if settings.will is not None:
            will = settings.will
            client.will_set(will.topic, will.payload, will.qos.value, will.retain)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_unsubscribe = self._on_unsubscribe
        client.on_log = self._on_log
        client.on_socket_open = _without_delay
        # With this callback set, paho leaves all writing to `turn`.
        client.on_socket_register_write = _nothing
        return client

    def _present_credentials(self) -> None:
        settings = self._settings
        if settings.username is not None:
            self._client.username_pw_set(settings.username, _password(settings))
        if settings.tls is not None:
            self._client.tls_set_context(_tls_context(settings.tls))

    def _exchange(self, connection: Any, *, reads: bool, writes: bool) -> None:
        if reads:
            self._client.loop_read()
            while self._client.socket() is connection and _undecoded(connection):
                self._client.loop_read()
        if writes:
            self._client.loop_write()
        self._client.loop_misc()

    def _publish(self, outgoing: Outgoing, future: Future[None]) -> None:
        try:
            sent = self._client.publish(
                outgoing.topic, outgoing.payload, outgoing.qos.value, retain=outgoing.retain
            )
        except ValueError as error:
            future.set_exception(error)
            return
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            future.set_exception(LinkDown(f"{outgoing.topic} was not published: {sent.rc.name}"))
            return
        self._futures[sent.mid] = future

    def _unsubscribe(self, filters: frozenset[str]) -> None:
        self._held = [
            {topic: qos for topic, qos in held.items() if topic not in filters} for held in self._held
        ]
        self._leave(self._standing & filters)

    def _leave(self, filters: set[str]) -> None:
        if filters:
            _, mid = self._client.unsubscribe(list(filters))
            self._standing -= filters
            if mid is not None:
                self._leaving[mid] = frozenset(filters)

    def _ask(self) -> None:
        leaving = frozenset[str]().union(*self._leaving.values())
        held, self._held = self._held, []
        for filters in held:
            if leaving.isdisjoint(filters):
                self._send_subscribe(filters)
            else:
                self._held.append(filters)

    def _send_subscribe(self, filters: dict[str, Qos]) -> None:
        if not filters:
            return
        self._standing |= filters.keys()
        if self._settings.version is MqttVersion.MQTT_5:
            self._client.subscribe([(f, SubscribeOptions(qos.value)) for f, qos in filters.items()])
        else:
            self._client.subscribe([(f, qos.value) for f, qos in filters.items()])

    def _finish(self, end: End) -> None:
        self.end = self.end or end
        futures, self._futures = self._futures, {}
        for future in futures.values():
            future.set_exception(LinkDown(f"not acknowledged: {self.end.reason}"))

    def _on_connect(
        self, _c: Client, _u: object, _f: ConnectFlags, code: ReasonCode, _p: Properties | None
    ) -> None:
        if code.is_failure:
            self._finish(not_accepted(self._settings, code))
        else:
            self.accepted = True

    def _on_disconnect(
        self, _c: Client, _u: object, flags: DisconnectFlags, code: ReasonCode, _p: Properties | None
    ) -> None:
        if not self.accepted:
            self._finish(slammed(self._settings, self._complaint))
        else:
            by_broker = flags.is_disconnect_packet_from_server
            self._finish(lost(self._settings, code, self._complaint, by_broker=by_broker))

    def _on_message(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        self._deliver(Message(message.topic, bytes(message.payload), message.retain))

    def _on_publish(self, _c: Client, _u: object, mid: int, code: ReasonCode, _p: Properties) -> None:
        future = self._futures.pop(mid, None)
        if future is not None and code.is_failure:
            future.set_exception(LinkDown(f"{self._settings.place} refused it: {code}"))
        elif future is not None:
            future.set_result(None)

    def _on_unsubscribe(
        self, _c: Client, _u: object, mid: int, _codes: list[ReasonCode], _p: Properties | None
    ) -> None:
        self._leaving.pop(mid, None)
        self._ask()

    def _on_log(self, _c: Client, _u: object, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._complaint = text


class _TidySocket(ssl.SSLSocket):
    """Closes itself where the handshake fails; paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as ssl declares it
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _tls_context(tls: Tls) -> ssl.SSLContext:
    where = tls.ca_path
    if where is None:
        context = ssl.create_default_context()
    else:
        with readable("the CA file", where):
            context = ssl.create_default_context(cafile=where)
    if tls.certificate_path is not None:
        for what, path in (
            ("the certificate", tls.certificate_path),
            ("the certificate's key", tls.key_path),
        ):
            if path is not None:
                with readable(what, path):
                    path.read_bytes()
        with readable("the certificate with its key,", tls.certificate_path):
            # An encrypted key fails with this passphrase; without one OpenSSL would ask on the terminal.
            context.load_cert_chain(tls.certificate_path, tls.key_path, password="")
    # Python 3.13 checks this strictly, 3.11 does not: an upgrade must not be what cuts a fleet off.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.sslsocket_class = _TidySocket
    return context


def _password(settings: LinkSettings) -> str | None:
    if settings.password_path is None:
        return None
    with readable("the password file", settings.password_path):
        return settings.password_path.read_text().rstrip("\r\n")


def _undecoded(connection: Any) -> bool:
    """Whether TLS holds bytes back that the kernel no longer announces."""
    return isinstance(connection, ssl.SSLSocket) and connection.fileno() >= 0 and connection.pending() > 0


def _without_delay(_c: Client, _u: object, connection: Any) -> None:
    """Nagle's algorithm would hold each SUBSCRIBE after a write back for 40 ms."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _nothing(*_: object) -> None:
    pass
