import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.errors import ConfigError, Malformed
from agent.wire.topics import (
    CHANNELS,
    CHUNK,
    CLAIM_ANSWER,
    CLAIM_REQUEST,
    INDEX,
    META,
    OF_PIPELINES,
    REPORT,
    SHARDS,
    SLICE,
    STATUS,
    TARGET,
    Address,
    DeviceId,
    Digest,
    Qos,
    Root,
    device_id,
    digest,
    root,
    sha256,
    shard,
)

SEGMENTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
ROOTS = st.lists(SEGMENTS, min_size=1, max_size=3).map(lambda segments: root("/".join(segments)))
DIGESTS = st.binary(max_size=8).map(sha256)
OF_DEVICES = tuple(channel for channel in CHANNELS if "{device}" in channel.pattern)
HOME = root("shoal/home")


@given(ROOTS)
def test_the_index_is_read_back_from_its_topic(of):
    assert of.parse(of.index()) == Address(INDEX)


@given(ROOTS, SEGMENTS.filter(lambda name: name != "index" and not re.match("[0-9]+-", name)))
def test_metadata_is_read_back_from_its_topic(of, name):
    assert of.parse(of.meta(name)) == Address(META, name=name)


def test_a_version_and_its_role_are_one_segment_without_a_dot():
    assert HOME.meta("12.snapshot") == "shoal/home/meta/12-snapshot"


@given(ROOTS, SEGMENTS, st.sampled_from((CLAIM_REQUEST, CLAIM_ANSWER)))
def test_a_claim_is_read_back_from_its_topic(of, name, channel):
    assert of.parse(of.claim(channel, name)) == Address(channel, name=name)


@given(ROOTS, DIGESTS)
def test_targets_and_chunks_are_read_back_from_their_topics(of, named):
    assert of.parse(of.target(named)) == Address(TARGET, digest=named)
    assert of.parse(of.chunk(named)) == Address(CHUNK, digest=named)
    assert of.parse(of.slice(named, 3)) == Address(SLICE, digest=named, name="3")


@given(ROOTS, st.sampled_from(OF_DEVICES), SEGMENTS.map(device_id))
def test_what_a_device_says_is_read_back_from_its_topic(of, channel, device):
    assert of.parse(of.device(channel, device)) == Address(channel, device=device)


@given(ROOTS, st.sampled_from(sorted(OF_PIPELINES, key=repr)), SEGMENTS.map(device_id), SEGMENTS)
def test_what_a_device_says_of_a_pipeline_is_read_back_from_its_topic(of, channel, device, pipeline):
    topic = of.device(channel, device, pipeline)
    assert of.parse(topic) == Address(channel, device=device, pipeline=pipeline)


@given(st.sampled_from(OF_DEVICES), SEGMENTS.map(device_id))
def test_the_subscription_of_its_shard_matches_every_device(channel, device):
    levels = HOME.device(channel, device).split("/")
    matched = HOME.shard_filter(channel, shard(device)).removesuffix("/#").split("/")
    assert [want for want in matched if want != "+"] == [
        have for have, want in zip(levels, matched, strict=True) if want != "+"
    ]


def test_a_topic_reads_as_the_contract_says():
    """`printf pi-1 | sha256sum` begins with 9."""
    device = device_id("pi-1")
    assert [
        HOME.index(),
        HOME.meta("7.models"),
        HOME.target(Digest("a" * 64)),
        HOME.chunk(Digest("b" * 64)),
        HOME.device(REPORT, device),
        HOME.shard_filter(STATUS, "a"),
        HOME.device(REPORT, device, "door"),
        HOME.shard_filter(REPORT, "a"),
    ] == [
        "shoal/home/meta/index",
        "shoal/home/meta/7-models",
        "shoal/home/target/" + "a" * 64,
        "shoal/home/chunk/" + "b" * 64,
        "shoal/home/device/9/pi-1/report",
        "shoal/home/device/a/+/status",
        "shoal/home/device/9/pi-1/report/door",
        "shoal/home/device/a/+/report/#",
    ]


def test_sixteen_shards_hold_about_equally_many_devices():
    """4,096 devices, 256 a shard: five standard deviations are 80."""
    counts = dict.fromkeys(SHARDS, 0)
    for number in range(4096):
        counts[shard(DeviceId(f"pi-{number}"))] += 1
    assert len(counts) == 16
    assert all(abs(count - 256) < 80 for count in counts.values())


WRONG_SHARD = next(s for s in SHARDS if s != shard(DeviceId("pi-1")))


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "shoal/home",
        "shoal/homes/meta/index",
        "xshoal/home/meta/index",
        "other/shoal/home/meta/index",
        "shoal/home/meta",
        "shoal/home/meta/",
        "shoal/home/meta/a/b",
        "shoal/home/meta/+",
        "shoal/home/meta/a\n",
        "shoal/home/target/" + "a" * 63,
        "shoal/home/target/" + "A" * 64,
        "shoal/home/chunk/" + "a" * 64 + "\n",
        "shoal/home/chunk/../../etc/passwd",
        "shoal/home/chunk/" + "a" * 64 + "/00",
        "shoal/home/chunk/" + "a" * 64 + "/100",
        f"shoal/home/device/{WRONG_SHARD}/pi-1/report",
        f"shoal/home/device/{shard(DeviceId('pi-1'))}/pi-1/diary",
        f"shoal/home/device/{shard(DeviceId('pi-1'))}/pi-1",
        "shoal/home/device/+/pi-1/report",
        f"shoal/home/device/{shard(DeviceId('pi-1'))}/pi-1/report/main",
        f"shoal/home/device/{shard(DeviceId('pi-1'))}/pi-1/report/a/b",
        f"shoal/home/device/{shard(DeviceId('pi-1'))}/pi-1/status/door",
        "shoal/home/unheard/of",
        "$SYS/broker/uptime",
    ],
)
def test_a_topic_that_is_none_of_ours_is_refused(topic):
    with pytest.raises(Malformed):
        HOME.parse(topic)


@given(st.text(max_size=40))
def test_no_topic_breaks_the_parser(tail):
    try:
        address = HOME.parse(f"shoal/home/{tail}")
    except Malformed:
        return
    assert address.channel in CHANNELS


@pytest.mark.parametrize(
    "text", ["", "a b", "a/b", "+", "#", "-a", ".a", "a" * 65, "kücheneck", "a\n", "$share"]
)
def test_a_device_id_that_some_broker_would_refuse_is_refused_with_the_rule(text):
    with pytest.raises(ConfigError, match="use 1 to 64 letters, digits, dots, dashes or underscores"):
        device_id(text)


@pytest.mark.parametrize("prefix", ["", "/", "shoal/", "/shoal", "a//b", "shoal/+", "$SYS", "a b"])
def test_a_root_that_some_broker_would_refuse_is_refused_with_an_example(prefix):
    with pytest.raises(ConfigError, match="such as shoal/home"):
        root(prefix)


@pytest.mark.parametrize("text", ["", "a" * 63, "a" * 65, "G" * 64, "A" * 64, "a" * 64 + "\n"])
def test_a_digest_is_64_lowercase_hexadecimal_digits(text):
    with pytest.raises(Malformed, match="64 lowercase hexadecimal digits are needed"):
        digest(text)


def test_each_channel_is_kept_and_acknowledged_as_the_contract_says():
    kept = {c.pattern: (c.qos, c.retain) for c in CHANNELS}
    once, lost = Qos.AT_LEAST_ONCE, Qos.AT_MOST_ONCE
    assert kept == {
        "meta/index": (once, True),
        "meta/{name}": (once, True),
        "target/{digest}": (once, True),
        "chunk/{digest}": (once, True),
        "chunk/{digest}/{name}": (once, True),
        "device/{device}/status": (once, True),
        "device/{device}/report": (once, True),
        "device/{device}/event": (once, False),
        "device/{device}/prediction": (lost, False),
        "device/{device}/telemetry": (once, False),
        "device/{device}/frame": (lost, False),
        "device/{device}/command": (once, False),
        "device/{device}/answer": (once, False),
        "device/{device}/check": (once, True),
        "device/{device}/model": (once, True),
        "device/{device}/install": (lost, False),
        "claim/{name}/request": (once, True),
        "claim/{name}/answer": (once, True),
    }


def test_a_root_is_a_value():
    assert root("shoal/home") == Root("shoal/home")


@given(ROOTS, st.sampled_from(CHANNELS))
def test_the_filter_for_everybody_has_no_place_left_open(of, channel):
    filled = of.everywhere(channel, "%u")
    assert "{" not in filled
    assert filled.endswith("/#") == (channel in OF_PIPELINES)
