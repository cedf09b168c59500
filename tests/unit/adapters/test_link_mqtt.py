"""What only the link to a real broker must do: recover, explain, and outlive other people's faults."""

import itertools
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Self

import pytest

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.core.refusal import Refusal
from agent.ports.link import Down, LinkState, Message, Outgoing, Up
from agent.wire.errors import LinkDown
from agent.wire.topics import MqttVersion, Qos
from tests.brokers import WAIT_S, Inbox
from tests.fakes.chaosproxy import ChaosProxy

ACCEPTED = b"\x20\x02\x00\x00"
_numbers = itertools.count()


def quick(host: str, port: int, **others: object) -> LinkSettings:
    name = f"unit-{next(_numbers)}"
    return LinkSettings(host, port, name, backoff_base_s=0.02, backoff_cap_s=0.1, **others)


@contextmanager
def opened(
    settings: LinkSettings, **others: Callable[[], float]
) -> Iterator[tuple[MqttLink, Inbox[LinkState]]]:
    link, states = MqttLink(settings, **others), Inbox()
    try:
        link.open(states)
        yield link, states
    finally:
        link.close()


def down_reason(states: Inbox[LinkState]) -> str:
    found = states.wait_until(lambda seen: any(isinstance(state, Down) for state in seen))
    return next(state.reason for state in found if isinstance(state, Down))


class ScriptedBroker:
    """Answers every CONNECT with the same bytes, then with others to each packet that follows."""

    def __init__(self, on_connect: bytes, *, hangs_up: bool = False) -> None:
        self.packets: Inbox[bytes] = Inbox()
        self.connections = 0
        self._on_connect = on_connect
        self._hangs_up = hangs_up
        self._stop = Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.host, self.port = self._listener.getsockname()
        self._thread = Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(0.05)
        while not self._stop.is_set():
            try:
                piece = connection.recv(65_536)
            except TimeoutError:
                continue
            except OSError:
                return
            if not piece:
                return
            if piece[0] == 0x10:
                connection.sendall(self._on_connect)
            self.packets(piece)
            if self._hangs_up:
                return


def test_it_comes_back_after_every_cut_and_a_download_goes_on(any_broker):
    with (
        ChaosProxy(any_broker.host, any_broker.port) as proxy,
        opened(quick(proxy.host, proxy.port)) as (link, states),
    ):
        states.wait_for(1)
        chunks = {f"cut/{n}": b"%d" % n * 20_000 for n in range(12)}
        for topic, payload in chunks.items():
            link.publish(Outgoing(topic, payload, Qos.AT_LEAST_ONCE, retain=True)).result(WAIT_S)
        proxy.cut_after_bytes = 100_000
        missing = dict(chunks)

        def take(message: Message) -> None:
            if missing.get(message.topic) == message.payload:
                del missing[message.topic]
                link.unsubscribe([message.topic])

        inbox: Inbox[Message] = Inbox()
        for topic in chunks:
            link.subscribe([topic], Qos.AT_LEAST_ONCE, lambda message: (take(message), inbox(message)))
        inbox.wait_until(lambda _: not missing)
        assert proxy.cuts >= 2
        states.wait_until(lambda seen: sum(isinstance(state, Up) for state in seen) > proxy.cuts)


def test_a_broker_that_is_not_there_is_tried_until_it_is(any_broker):
    with ChaosProxy(any_broker.host, any_broker.port) as proxy:
        proxy.refuse = True
        with opened(quick(proxy.host, proxy.port)) as (link, states):
            assert down_reason(states).startswith(f"{proxy.host}:{proxy.port} closed the connection before")
            refused = link.publish(Outgoing("x", b"", Qos.AT_LEAST_ONCE, retain=False))
            with pytest.raises(LinkDown, match="no connection"):
                refused.result(0)
            proxy.refuse = False
            up = states.wait_until(lambda seen: isinstance(seen[-1], Up))[-1]
            assert isinstance(up, Up)
            assert up.attempts > 1


def test_the_same_trouble_is_told_once():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    chances: Inbox[float] = Inbox()

    def chance() -> float:
        chances(0.0)
        return 0.0

    with opened(quick("127.0.0.1", port), chance=chance) as (_, states):
        chances.wait_for(5)
        assert states.items == [Down(f"no broker listens on 127.0.0.1:{port}", Refusal.NOBODY)]


def test_a_link_gone_dead_is_noticed_by_the_keepalive(any_broker):
    with (
        ChaosProxy(any_broker.host, any_broker.port) as proxy,
        opened(quick(proxy.host, proxy.port, keepalive_s=1)) as (link, states),
    ):
        states.wait_for(1)
        proxy.partition = True
        unanswered = link.publish(Outgoing("x", b"", Qos.AT_LEAST_ONCE, retain=False))
        assert "fell silent for longer than the keepalive of 1 s" in down_reason(states)
        with pytest.raises(LinkDown, match="not acknowledged"):
            unanswered.result(WAIT_S)
        proxy.drop_all()
        proxy.partition = False
        states.wait_until(lambda seen: isinstance(seen[-1], Up))


def test_an_idle_link_with_a_short_keepalive_stays_up(any_broker):
    with opened(quick(any_broker.host, any_broker.port, keepalive_s=1)) as (link, states):
        inbox: Inbox[Message] = Inbox()
        link.subscribe(["idle/end"], Qos.AT_LEAST_ONCE, inbox)
        quiet_until = time.monotonic() + 2.5
        with pytest.raises(AssertionError):
            states.wait_for(2, within_s=quiet_until - time.monotonic())
        assert states.items == [Up(1)]


def test_a_high_latency_link_works(any_broker):
    with ChaosProxy(any_broker.host, any_broker.port) as proxy:
        proxy.latency_s = 0.1
        proxy.rate_bytes_s = 1_000_000
        with opened(quick(proxy.host, proxy.port)) as (link, states):
            states.wait_for(1)
            link.publish(Outgoing("slow/x", bytes(200_000), Qos.AT_LEAST_ONCE, retain=True)).result(WAIT_S)
            inbox: Inbox[Message] = Inbox()
            link.subscribe(["slow/x"], Qos.AT_LEAST_ONCE, inbox)
            assert inbox.wait_for(1)[0].payload == bytes(200_000)


def test_turns_do_not_wait_for_nagle(any_broker):
    """With Nagle's algorithm on, each turn takes 40 ms: 1.6 s for all."""
    with opened(quick(any_broker.host, any_broker.port)) as (link, states):
        states.wait_for(1)
        link.publish(Outgoing("nagle/x", b"kept", Qos.AT_LEAST_ONCE, retain=True)).result(WAIT_S)
        began = time.monotonic()
        for _ in range(40):
            inbox: Inbox[Message] = Inbox()
            link.subscribe(["nagle/x"], Qos.AT_LEAST_ONCE, inbox)
            inbox.wait_for(1)
        assert time.monotonic() - began < 1.2


def test_a_sink_that_raises_is_logged_once_and_stops_nobody(any_broker, caplog):
    def broken(_: Message) -> None:
        raise RuntimeError("a bug elsewhere")

    inbox: Inbox[Message] = Inbox()
    with caplog.at_level(logging.ERROR), opened(quick(any_broker.host, any_broker.port)) as (link, states):
        states.wait_for(1)
        link.subscribe(["broken/x"], Qos.AT_LEAST_ONCE, broken)
        link.subscribe(["broken/y"], Qos.AT_LEAST_ONCE, inbox)
        for topic in ("broken/x", "broken/x", "broken/y"):
            link.publish(Outgoing(topic, b"", Qos.AT_LEAST_ONCE, retain=False)).result(WAIT_S)
        inbox.wait_for(1)
        assert states.items == [Up(1)]
    assert [record.message for record in caplog.records] == ["link.sink_failed"]


def test_a_sink_may_publish_subscribe_and_close(any_broker):
    link = MqttLink(quick(any_broker.host, any_broker.port))
    inbox: Inbox[Message] = Inbox()

    def answer(message: Message) -> None:
        link.subscribe(["chain/b"], Qos.AT_LEAST_ONCE, lambda last: (inbox(last), link.close()))
        link.publish(Outgoing("chain/b", message.payload, Qos.AT_LEAST_ONCE, retain=False))

    link.subscribe(["chain/a"], Qos.AT_LEAST_ONCE, answer)
    link.open(lambda _: link.publish(Outgoing("chain/a", b"hello", Qos.AT_LEAST_ONCE, retain=False)) and None)
    assert inbox.wait_for(1)[0].payload == b"hello"
    link.close()
    assert link._thread is not None
    assert not link._thread.is_alive()


def test_a_topic_with_a_wildcard_cannot_be_published_to(any_broker):
    with opened(quick(any_broker.host, any_broker.port)) as (link, states):
        states.wait_for(1)
        wrong = link.publish(Outgoing("a/+", b"", Qos.AT_LEAST_ONCE, retain=False))
        with pytest.raises(ValueError, match="wildcards"):
            wrong.result(WAIT_S)
        assert states.items == [Up(1)]


@pytest.mark.parametrize(
    ("code", "because"),
    [
        (1, "closed the connection before accepting it"),
        (2, "refuses the client id 'unit-"),
        (3, "refuses the connection: server unavailable"),
        (4, "refuses a client without a user name: check user name and password"),
        (5, "refuses a client without a user name: check user name and password"),
    ],
)
def test_a_refusal_is_told_in_a_sentence(code, because):
    with (
        ScriptedBroker(bytes((0x20, 2, 0, code))) as broker,
        opened(quick(broker.host, broker.port)) as (_, states),
    ):
        assert because in down_reason(states)


def test_what_a_person_must_mend_is_tried_slowly():
    with ScriptedBroker(b"\x20\x02\x00\x05") as broker:
        settings = LinkSettings(broker.host, broker.port, "slow", backoff_base_s=0.001, backoff_cap_s=60.0)
        with opened(settings, chance=lambda: 0.5) as (_, states):
            down_reason(states)
            with pytest.raises(AssertionError):
                states.wait_for(2, within_s=0.3)
            assert broker.connections == 1


GARBAGE = {
    "zeros": bytes(64),
    "endless length": b"\xff" * 64,
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "topic longer than the packet": ACCEPTED + b"\x30\x02\x00\xff",
    "packet id cut off": ACCEPTED + b"\x32\x01\x00",
    "topic not UTF-8": ACCEPTED + b"\x30\x04\x00\x02\xff\xfe",
    "acknowledgements cut off": ACCEPTED + b"\x40\x01\x00" + b"\x90\x00" + b"\xb0\x00",
    "unknown packet": ACCEPTED + b"\xf0\x7f" + b"\xff" * 127,
    "properties without end": b"\x20\x03\x00\x00\x00\x30\x05\x00\x01a\xff\xff",
    "property cut off": b"\x20\x03\x00\x00\x00\x30\x06\x00\x01a\x02\x23\x00",
    "property cut off in an answer": b"\x20\x03\x00\x00\x00\x90\x04\x00\x01\x05\x26",
}


@pytest.mark.parametrize("version", MqttVersion)
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_bytes_that_are_not_mqtt_never_end_the_thread(garbage, version):
    with ScriptedBroker(garbage, hangs_up=True) as broker:
        settings = quick(broker.host, broker.port, version=version)
        with opened(settings, chance=lambda: 0.1) as (link, states):
            down_reason(states)
            broker.packets.wait_until(lambda seen: sum(piece[0] == 0x10 for piece in seen) >= 3)
            assert link._thread is not None
            assert link._thread.is_alive()


def test_a_publish_that_nobody_acknowledges_fails_when_the_connection_goes():
    with (
        ScriptedBroker(ACCEPTED) as broker,
        ChaosProxy(broker.host, broker.port) as proxy,
        opened(quick(proxy.host, proxy.port)) as (link, states),
    ):
        states.wait_for(1)
        future = link.publish(Outgoing("x", b"", Qos.AT_LEAST_ONCE, retain=False))
        broker.packets.wait_until(lambda seen: any(piece[0] == 0x32 for piece in seen))
        assert not future.done()
        proxy.drop_all()
        with pytest.raises(LinkDown, match="not acknowledged"):
            future.result(WAIT_S)


def test_what_was_not_acknowledged_is_not_sent_again():
    with (
        ScriptedBroker(ACCEPTED) as broker,
        ChaosProxy(broker.host, broker.port) as proxy,
        opened(quick(proxy.host, proxy.port)) as (link, states),
    ):
        states.wait_for(1)
        link.publish(Outgoing("x", b"", Qos.AT_LEAST_ONCE, retain=False))
        broker.packets.wait_until(lambda seen: any(piece[0] == 0x32 for piece in seen))
        broker.packets.clear()
        proxy.drop_all()
        link.subscribe(["end"], Qos.AT_LEAST_ONCE, lambda _: None)
        broker.packets.wait_until(lambda seen: any(piece[0] == 0x82 for piece in seen))
        assert all(piece[0] & 0xF0 != 0x30 for piece in broker.packets.items)


def test_closing_gives_up_on_a_broker_that_does_not_answer():
    with ScriptedBroker(ACCEPTED) as broker, opened(quick(broker.host, broker.port)) as (link, states):
        states.wait_for(1)
        future = link.publish(Outgoing("x", b"", Qos.AT_LEAST_ONCE, retain=False))
        began = time.monotonic()
        link.close()
        assert time.monotonic() - began < 2.0
        with pytest.raises(LinkDown):
            future.result(0)


def test_closing_does_not_wait_for_a_broker_that_never_accepts():
    with ScriptedBroker(b"") as broker, opened(quick(broker.host, broker.port)) as (link, _):
        broker.packets.wait_for(1)
        began = time.monotonic()
        link.close()
        assert time.monotonic() - began < 1.0


def test_a_topic_is_asked_for_again_only_when_the_broker_has_let_it_go():
    """Some brokers handle an UNSUBSCRIBE after the SUBSCRIBE that followed it."""
    with ScriptedBroker(ACCEPTED) as broker, opened(quick(broker.host, broker.port)) as (link, states):
        states.wait_for(1)
        for _ in range(2):
            link.subscribe(["x"], Qos.AT_LEAST_ONCE, lambda _: None)
        link.subscribe(["end"], Qos.AT_LEAST_ONCE, lambda _: None)
        seen = b"".join(broker.packets.wait_until(lambda pieces: b"end" in b"".join(pieces)))
        assert seen.count(b"\x82\x06") == 1
        assert seen.count(b"\xa2\x05") == 1


def test_a_link_that_was_never_opened_can_be_closed():
    link = MqttLink(quick("127.0.0.1", 1))
    link.close()
    link.close()
