import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from agent.ports.link import Outgoing
from agent.wire.errors import Malformed
from agent.wire.topics import Qos
from deploy.simulation import packets
from deploy.simulation.packets import (
    Accepted,
    Acknowledged,
    Arrived,
    Decoder,
    Hello,
    Pong,
    Subscribed,
    Unsubscribed,
)

NUMBERS = some.integers(1, 65_535)
TOPICS = some.text("abc/é", min_size=1, max_size=300)
PUBLISHES = some.builds(
    Outgoing,
    topic=TOPICS,
    payload=some.binary(max_size=300) | some.integers(16_000, 17_000).map(bytes),
    qos=some.sampled_from(Qos),
    retain=some.booleans(),
)


def decoded(content: bytes, piece_bytes: int = 1 << 20) -> list[packets.Packet]:
    decoder = Decoder()
    pieces = [content[at : at + piece_bytes] for at in range(0, len(content), piece_bytes)]
    return [packet for piece in pieces for packet in decoder.feed(piece)]


@settings(max_examples=40)
@given(some.lists(some.tuples(PUBLISHES, NUMBERS), max_size=3), some.integers(1, 700))
def test_what_is_published_is_read_again_in_whatever_pieces_it_comes(sent, piece_bytes):
    stream = b"".join(packets.publish(outgoing, number) for outgoing, number in sent)
    assert decoded(stream, piece_bytes) == [
        Arrived(
            outgoing.topic,
            outgoing.payload,
            outgoing.retain,
            number if outgoing.qos is Qos.AT_LEAST_ONCE else 0,
        )
        for outgoing, number in sent
    ]


@given(some.binary(max_size=64))
def test_no_bytes_do_worse_than_to_be_refused(content):
    with contextlib.suppress(Malformed):
        assert isinstance(decoded(content), list)


@pytest.mark.parametrize(
    ("content", "packet"),
    [
        (b"\x20\x02\x00\x00", Accepted(0)),
        (b"\x20\x02\x00\x05", Accepted(5)),
        (packets.acknowledge(258), Acknowledged(258)),
        (b"\x90\x04\x01\x02\x01\x80", Subscribed(258, b"\x01\x80")),
        (b"\xb0\x02\x00\x07", Unsubscribed(7)),
        (b"\xd0\x00", Pong()),
    ],
)
def test_each_answer_of_a_broker_is_read(content, packet):
    assert decoded(content, 1) == [packet]


@pytest.mark.parametrize(
    "content",
    [
        b"\x10\x00",
        b"\x20\x03\x00\x00\x00",
        b"\xd0\xff\xff\xff\xff\x01",
        b"\x36\x05\x00\x01a\x00\x01",
        b"\x30\x01\x00",
        b"\x30\x03\x00\x09a",
        b"\x30\x04\x00\x02\xff\xfe",
    ],
    ids=["a client's", "too long", "endless length", "QoS 3", "cut", "topic beyond its end", "no UTF-8"],
)
def test_what_no_broker_sends_is_refused(content):
    with pytest.raises(Malformed):
        decoded(content)


def test_a_connect_says_what_the_standard_wants():
    """Worked out by hand from sections 3.1.2 and 3.1.3."""
    will = Outgoing("w", b"gone", Qos.AT_LEAST_ONCE, retain=True)
    assert packets.connect(Hello("id", 30, will, "me", "pw")) == (
        b"\x10\x1f" + b"\x00\x04MQTT\x04\xee\x00\x1e" + b"\x00\x02id\x00\x01w\x00\x04gone\x00\x02me\x00\x02pw"
    )


def test_filters_are_asked_for_and_given_up_in_one_packet():
    asked = packets.subscribe({"a/+": Qos.AT_LEAST_ONCE, "b": Qos.AT_MOST_ONCE}, 3)
    assert asked == b"\x82\x0c\x00\x03\x00\x03a/+\x01\x00\x01b\x00"
    assert packets.unsubscribe(["a/+", "b"], 4) == b"\xa2\x0a\x00\x04\x00\x03a/+\x00\x01b"
