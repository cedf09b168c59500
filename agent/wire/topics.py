"""Every MQTT topic of Shoal: its shape, quality of service and retain flag, declared once.

`build` and `parse` are inverses. What a device says of one of several pipelines ends in the pipeline's name;
the pipeline that every device has, `main`, goes without. The topics stand under a root, by default
`shoal/<fleet>`; names use `[A-Za-z0-9._-]` only, because some brokers (NATS) map or refuse other characters.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import NewType

from agent.wire.errors import ConfigError, Malformed

DeviceId = NewType("DeviceId", str)
Digest = NewType("Digest", str)
"""SHA-256 in 64 lowercase hexadecimal digits."""

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSIONED = re.compile(r"\A([0-9]+)\.")
_OF_TOPIC = re.compile(r"\A([0-9]+)-")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"0|[1-9][0-9]?")


class MqttVersion(StrEnum):
    MQTT_5 = "5"
    MQTT_3_1_1 = "3.1.1"


class Qos(Enum):
    AT_MOST_ONCE = 0
    AT_LEAST_ONCE = 1


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of topic: `pattern` holds `{name}`, `{digest}` or `{device}` where values go."""

    pattern: str
    qos: Qos
    retain: bool


INDEX = Channel("meta/index", Qos.AT_LEAST_ONCE, retain=True)
META = Channel("meta/{name}", Qos.AT_LEAST_ONCE, retain=True)
TARGET = Channel("target/{digest}", Qos.AT_LEAST_ONCE, retain=True)
CHUNK = Channel("chunk/{digest}", Qos.AT_LEAST_ONCE, retain=True)
SLICE = Channel("chunk/{digest}/{name}", Qos.AT_LEAST_ONCE, retain=True)
"""Part of a chunk that is longer than SLICE_BYTES, by its number from 0, for devices whose link is cut again
and again. Its digest is in no manifest: it is looked at when the whole chunk is together. Chunks stand whole
besides: in slices alone they would cost a broker twice the processor time, for four times the messages."""
STATUS = Channel("device/{device}/status", Qos.AT_LEAST_ONCE, retain=True)
REPORT = Channel("device/{device}/report", Qos.AT_LEAST_ONCE, retain=True)
EVENT = Channel("device/{device}/event", Qos.AT_LEAST_ONCE, retain=False)
PREDICTION = Channel("device/{device}/prediction", Qos.AT_MOST_ONCE, retain=False)
TELEMETRY = Channel("device/{device}/telemetry", Qos.AT_LEAST_ONCE, retain=False)
"""Acknowledged, so that each window brings a round trip to the broker."""
FRAME = Channel("device/{device}/frame", Qos.AT_MOST_ONCE, retain=False)
"""A JPEG picture, when one was asked for."""
COMMAND = Channel("device/{device}/command", Qos.AT_LEAST_ONCE, retain=False)
ANSWER = Channel("device/{device}/answer", Qos.AT_LEAST_ONCE, retain=False)
CHECK = Channel("device/{device}/check", Qos.AT_LEAST_ONCE, retain=True)
"""What `shoal-agent check` lays down, reads again and takes away, to see whether the broker keeps it."""
MODEL = Channel("device/{device}/model", Qos.AT_LEAST_ONCE, retain=True)
"""For Home Assistant's update entity: nothing but what its strict schema knows (see `homeassistant`)."""
INSTALL = Channel("device/{device}/install", Qos.AT_MOST_ONCE, retain=False)
"""Somebody accepts the release that waits. Not acknowledged, so that no broker says it a second time."""
CLAIM_REQUEST = Channel("claim/{name}/request", Qos.AT_LEAST_ONCE, retain=True)
CLAIM_ANSWER = Channel("claim/{name}/answer", Qos.AT_LEAST_ONCE, retain=True)
"""Of a device that has no identity yet, under a random name: see `claims`."""

CHANNELS = (
    INDEX, META, TARGET, CHUNK, SLICE,
    STATUS, REPORT, EVENT, PREDICTION, TELEMETRY, FRAME, COMMAND, ANSWER, CHECK, MODEL, INSTALL,
    CLAIM_REQUEST, CLAIM_ANSWER,
)  # fmt: skip
OF_PIPELINES = frozenset({REPORT, EVENT, PREDICTION, TELEMETRY, FRAME, MODEL, INSTALL})
MAIN = "main"
TIMESTAMP_NAME = "timestamp"
SHARDS = tuple("0123456789abcdef")


def sha256(content: bytes) -> Digest:
    return Digest(hashlib.sha256(content).hexdigest())


def digest(text: str) -> Digest:
    """The text as a digest.

    Raises:
        Malformed: it is not 64 lowercase hexadecimal digits.
    """
    if not _DIGEST.fullmatch(text):
        raise Malformed(f"{text[:80]!r} is not a SHA-256 digest: 64 lowercase hexadecimal digits are needed")
    return Digest(text)


def device_id(text: str) -> DeviceId:
    """The text as a device id.

    Raises:
        ConfigError: it would not be one segment of an MQTT topic on every broker.
    """
    if not _SEGMENT.fullmatch(text):
        raise ConfigError(
            f"device id {text[:80]!r}: use 1 to 64 letters, digits, dots, dashes or underscores"
        )
    return DeviceId(text)


def shard(device: DeviceId) -> str:
    """First hexadecimal digit of sha256(id): sixteen subscriptions reach every device.

    A default Mosquitto silently cuts a wildcard read off after about 1,000 retained messages,
    so a fleet is read shard by shard.
    """
    return hashlib.sha256(device.encode()).hexdigest()[0]


@dataclass(frozen=True, slots=True)
class Root:
    """The prefix below which a fleet's topics stand."""

    prefix: str

    def index(self) -> str:
        return f"{self.prefix}/meta/index"

    def meta(self, name: str) -> str:
        """Of TUF's file of this name: `3.root` stands on `meta/3-root`, because NATS refuses dots."""
        leaf = _VERSIONED.sub(r"\1-", name)
        return f"{self.prefix}/meta/{leaf}"

    def target(self, named: Digest) -> str:
        return f"{self.prefix}/target/{named}"

    def chunk(self, named: Digest) -> str:
        return f"{self.prefix}/chunk/{named}"

    def claim(self, channel: Channel, name: str) -> str:
        return f"{self.prefix}/{channel.pattern.replace('{name}', name)}"

    def slice(self, named: Digest, number: int) -> str:
        return f"{self.prefix}/chunk/{named}/{number}"

    def device(self, channel: Channel, device: DeviceId, pipeline: str = MAIN) -> str:
        place = f"device/{shard(device)}/{device}"
        topic = f"{self.prefix}/{channel.pattern.replace('device/{device}', place)}"
        return topic if pipeline == MAIN else f"{topic}/{pipeline}"

    def shard_filter(self, channel: Channel, of_shard: str) -> str:
        """The subscription that matches this channel of every device in one shard, all pipelines of it."""
        topics = f"{self.prefix}/{channel.pattern.replace('{device}', f'{of_shard}/+')}"
        return f"{topics}/#" if channel in OF_PIPELINES else topics

    def everywhere(self, channel: Channel, value: str = "+") -> str:
        """The filter that matches this channel of everybody, all pipelines, for an access list or a bridge.

        `value` stands for the device, the name or the digest, and may be what a broker fills in.
        """
        place = channel.pattern.replace("{device}", f"+/{value}")
        topics = f"{self.prefix}/{place.replace('{name}', value).replace('{digest}', value)}"
        return f"{topics}/#" if channel in OF_PIPELINES else topics

    def parse(self, topic: str) -> "Address":
        """What a topic addresses: the inverse of the builders above.

        Raises:
            Malformed: the topic is none that Shoal declares, or names a device in the wrong shard.
        """
        head, found, rest = topic.partition(f"{self.prefix}/")
        if head or not found:
            raise Malformed(f"topic {topic[:120]!r} is not below {self.prefix!r}")
        match rest.split("/"):
            case ["meta", "index"]:
                return Address(INDEX)
            case ["meta", name] if _SEGMENT.fullmatch(name) and not _VERSIONED.search(name):
                return Address(META, name=_OF_TOPIC.sub(r"\1.", name))
            case ["target" | "chunk" as kind, text]:
                return Address(TARGET if kind == "target" else CHUNK, digest=digest(text))
            case ["claim", name, "request"] if _SEGMENT.fullmatch(name):
                return Address(CLAIM_REQUEST, name=name)
            case ["claim", name, "answer"] if _SEGMENT.fullmatch(name):
                return Address(CLAIM_ANSWER, name=name)
            case ["chunk", text, number] if _NUMBER.fullmatch(number):
                return Address(SLICE, name=number, digest=digest(text))
            case ["device", in_shard, text, leaf] if _SEGMENT.fullmatch(text):
                return _device_address(topic, in_shard, DeviceId(text), leaf, MAIN)
            case ["device", in_shard, text, leaf, name] if _SEGMENT.fullmatch(text) and is_pipeline(name):
                return _device_address(topic, in_shard, DeviceId(text), leaf, name)
            case _:
                raise Malformed(f"topic {topic[:120]!r} is not one of Shoal's")


@dataclass(frozen=True, slots=True)
class House:
    """The topics of a Home Assistant, which are no fleet's: below the prefix of its MQTT integration."""

    prefix: str = "homeassistant"

    def status(self) -> str:
        """Where it says `online` when it has started, and wants everything said again."""
        return f"{self.prefix}/status"

    def announcement(self, object_id: str) -> str:
        """Retained; an empty message takes the device away."""
        return f"{self.prefix}/device/{object_id}/config"


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed topic; exactly the fields that its channel's pattern names are set."""

    channel: Channel
    name: str | None = None
    digest: Digest | None = None
    device: DeviceId | None = None
    pipeline: str = MAIN


_OF_DEVICE = {c.pattern.rsplit("/", 1)[1]: c for c in CHANNELS if "{device}" in c.pattern}


def is_pipeline(name: str) -> bool:
    """Whether it can be the name of a pipeline besides `main`."""
    return name != MAIN and _SEGMENT.fullmatch(name) is not None


def _device_address(topic: str, in_shard: str, device: DeviceId, leaf: str, pipeline: str) -> Address:
    channel = _OF_DEVICE.get(leaf)
    if channel is None or in_shard != shard(device) or (pipeline != MAIN and channel not in OF_PIPELINES):
        raise Malformed(f"topic {topic[:120]!r} is not one of Shoal's, or stands in the wrong shard")
    return Address(channel, device=device, pipeline=pipeline)


def root(prefix: str) -> Root:
    """The prefix as a root.

    Raises:
        ConfigError: a segment of it is empty or holds a character that some broker refuses.
    """
    if not all(_SEGMENT.fullmatch(segment) for segment in prefix.split("/")):
        raise ConfigError(
            f"topic root {prefix[:120]!r}: use segments of letters, digits, dots, dashes or underscores, "
            "separated by single slashes, such as shoal/home"
        )
    return Root(prefix)
