import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.codec import MAX_BYTES, decode, encode
from agent.wire.documents import GoldenCase, GoldenSet, Index, Manifest, Plan, ReleaseRef
from agent.wire.errors import Malformed, TooLarge, UnknownSchema, WireError
from agent.wire.reasons import Reason
from agent.wire.reports import (
    Event,
    Histogram,
    Percentiles,
    Prediction,
    Ranked,
    Report,
    StageLatency,
    Status,
    Telemetry,
)
from agent.wire.topics import sha256
from tests.golden.documents import EXAMPLES, MANIFEST

KINDS = [type(document) for document in EXAMPLES.values()]
REAL = st.floats(allow_nan=False, allow_infinity=False)
MILLISECONDS, SCORES = st.floats(-1e12, 1e12), st.floats(-3.5e38, 3.5e38)
COUNT = st.integers(0, 2**53)
DIGESTS = st.binary(max_size=4).map(sha256)
SEGMENTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
TEXT = st.text(max_size=12)
INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(9998, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
REFS = st.builds(ReleaseRef, name=SEGMENTS, version=SEGMENTS, manifest=DIGESTS)
RANKED = st.builds(Ranked, index=COUNT, label=TEXT, score=SCORES)
PERCENTILES = st.builds(Percentiles, p50=REAL, p95=REAL, p99=REAL)
HISTOGRAMS = st.builds(
    Histogram,
    relative_accuracy=st.floats(0.001, 0.5),
    count=COUNT,
    zeros=COUNT,
    sum=REAL,
    min=REAL,
    max=REAL,
    bins=st.dictionaries(st.integers(-40_000, 40_000), COUNT, max_size=4),
)
DOCUMENTS = st.one_of(
    st.builds(
        Plan,
        stream=SEGMENTS,
        serial=COUNT,
        stable=st.none() | REFS,
        candidate=st.none() | REFS,
        cut=st.dictionaries(TEXT, st.integers(0, 2**64).map(lambda cut: f"{cut:016x}"), max_size=3),
        salt=TEXT,
        match=st.lists(TEXT, max_size=3).map(tuple),
        spread_s=st.floats(0.0, 1e6),
        revoked=st.lists(DIGESTS, max_size=3).map(tuple),
    ),
    st.builds(
        Prediction,
        at=INSTANTS,
        sequence=COUNT,
        frame=TEXT,
        model=TEXT,
        version=TEXT,
        digest=DIGESTS,
        delegate=TEXT,
        predictions=st.lists(RANKED, max_size=4).map(tuple),
        latency_ms=st.builds(
            StageLatency,
            capture=MILLISECONDS,
            pre=MILLISECONDS,
            invoke=MILLISECONDS,
            post=MILLISECONDS,
            age=MILLISECONDS,
        ),
    ),
    st.builds(
        Telemetry,
        at=INSTANTS,
        window_s=REAL,
        frames=COUNT,
        frames_dropped=COUNT,
        predictions=COUNT,
        errors=COUNT,
        fps=REAL,
        rss_bytes=st.dictionaries(TEXT, COUNT, max_size=2),
        digest=st.none() | DIGESTS,
        histogram_ms=st.dictionaries(TEXT, HISTOGRAMS, max_size=2),
        latency_ms=st.dictionaries(TEXT, PERCENTILES, max_size=2),
    ),
    st.builds(
        lambda **fields: msgspec.structs.replace(EXAMPLES["report.json"], **fields),
        at=INSTANTS,
        detail=TEXT,
        reason=st.none() | st.sampled_from(Reason),
        known_bad=st.dictionaries(DIGESTS, st.sampled_from(Reason), max_size=3),
        worker_restarts=COUNT,
    ),
    st.builds(
        Event, at=INSTANTS, name=TEXT, fields=st.dictionaries(TEXT, st.one_of(TEXT, COUNT, REAL), max_size=3)
    ),
    st.builds(
        lambda **fields: msgspec.structs.replace(MANIFEST, **fields),
        name=SEGMENTS,
        version=SEGMENTS,
        evaluation=st.dictionaries(TEXT, REAL, max_size=3),
        licence=TEXT,
    ),
    st.builds(
        lambda cases: GoldenSet(cases=tuple(cases)),
        st.lists(
            st.builds(
                GoldenCase,
                png=st.binary(max_size=8),
                expected=st.lists(st.tuples(COUNT, REAL), max_size=3).map(tuple),
            ),
            max_size=3,
        ),
    ),
)


@given(DOCUMENTS)
def test_what_was_encoded_is_decoded(document):
    assert decode(encode(document), type(document)) == document


def plain(name: str) -> dict:
    content = encode(EXAMPLES[name])
    return msgspec.msgpack.decode(content) if name.endswith(".msgpack") else json.loads(content)


def bytes_of(name: str, fields: dict) -> bytes:
    return msgspec.msgpack.encode(fields) if name.endswith(".msgpack") else json.dumps(fields).encode()


@pytest.mark.parametrize("name", EXAMPLES)
def test_fields_that_a_later_program_added_are_ignored(name):
    later = plain(name) | {"colour": "blue", "nested": {"list": [1, 2, {"deep": None}]}}
    assert decode(bytes_of(name, later), type(EXAMPLES[name])) == EXAMPLES[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_later_schema_major_is_refused_before_its_fields_are_read(name):
    kind = type(EXAMPLES[name])
    with pytest.raises(UnknownSchema, match=f"{kind.__name__.lower()} has schema 2, this program knows 1"):
        decode(bytes_of(name, {"schema": 2, "everything": "else"}), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_one_byte_too_many_is_refused_before_any_is_read(kind):
    limit = MAX_BYTES[kind]
    with pytest.raises(
        TooLarge, match=f"{kind.__name__.lower()} is {limit + 1} bytes, at most {limit} are accepted"
    ):
        decode(b" " * (limit + 1), kind)


def test_a_document_of_exactly_the_limit_is_read():
    content = encode(EXAMPLES["index.json"])
    assert decode(content.ljust(MAX_BYTES[Index]), Index) == EXAMPLES["index.json"]


AT = '"at": "2026-08-20T12:30:00Z"'
REF = '{"name": "a", "version": "1", "manifest": "%s"}'


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        ("", Index, r"index: Input data was truncated"),
        ("null", Index, r"index: Expected `object`, got `null`"),
        ("{}", Index, r"index: Object missing required field `schema`"),
        ('{"schema": true}', Index, r"index: Expected `int`, got `bool` - at `\$.schema`"),
        ('{"schema": 1, "root": 1}', Index, r"index: Object missing required field `timestamp`"),
        ('{"schema": 1, "root": -1, "timestamp": 1}', Index, r"at `\$.root`"),
        (
            '{"schema": 1, "root": 1%s, "timestamp": 1}' % ("0" * 99),
            Index,
            r"<= 9007199254740992 - at `\$.root`",
        ),
        (
            '{"schema": 1, "state": "online", "session": "", "at": "0001-01-01T00:00:00+23:59"}',
            Status,
            "`at` is in the year 1, and no clock shows one before 1970 or after 9998",
        ),
        ('{"schema": 1, "state": "asleep", "session": ""}', Status, r"'asleep' - at `\$.state`"),
        ('{"schema": 1, "stream": "a/b", "serial": 1}', Plan, r"at `\$.stream`"),
        ('{"schema": 1, "stream": "a\\n", "serial": 1}', Plan, r"at `\$.stream`"),
        ('{"schema": 1, "stream": "a", "serial": 1, "cut": {"cpu": "zz"}}', Plan, r"at `\$.cut\[...\]`"),
        (
            '{"schema": 1, "stream": "a", "serial": 1, "cut": {"*": "10000000000000001"}}',
            Plan,
            r"at `\$.cut\[...\]`",
        ),
        (
            '{"schema": 1, "stream": "a", "serial": 1, "stable": ' + REF % ("g" * 64) + "}",
            Plan,
            r"at `\$.stable.manifest`",
        ),
        (
            '{"schema": 1, "stream": "a", "serial": 1, "revoked": ["' + "a" * 64 + '\\n"]}',
            Plan,
            r"at `\$.revoked\[0\]`",
        ),
        (
            '{"schema": 1, "at": "2026-08-20T12:30:00", "name": "x"}',
            Event,
            r"timezone component - at `\$.at`",
        ),
        ('{"schema": 1, "at": "yesterday", "name": "x"}', Event, r"at `\$.at`"),
        ("{" + f'"schema": 1, {AT}, "name": "x", "fields": {{"a": 1e999}}' + "}", Event, r"out of range"),
        ('{"schema": 1, "name": "x"' + "[" * 30_000, Manifest, r"manifest: "),
    ],
)
def test_what_is_malformed_is_refused_with_the_field_and_the_fault(content, kind, says):
    with pytest.raises(Malformed, match=says):
        decode(content.encode(), kind)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"schema":1,"x":' + b"[" * 16_000, Plan),
        (b'{"schema":1,"x":' + b'{"a":' * 10_000, Report),
        (b"\x82\xa6schema\x01\xa1x" + b"\x91" * 200_000, GoldenSet),
    ],
)
def test_bottomless_nesting_is_refused_like_any_other_fault(content, kind):
    with pytest.raises(Malformed):
        decode(content, kind)


@given(st.binary(max_size=64), st.sampled_from(KINDS))
def test_no_bytes_raise_anything_but_a_wire_error(content, kind):
    with pytest.raises(WireError):
        decode(content, kind)


@given(st.sampled_from(sorted(EXAMPLES)), st.integers(0, 2**16), st.integers(0, 255))
def test_a_changed_byte_is_a_document_or_a_wire_error(name, place, byte):
    content = bytearray(encode(EXAMPLES[name]))
    content[place % len(content)] = byte
    try:
        read = decode(bytes(content), type(EXAMPLES[name]))
    except WireError:
        return
    assert isinstance(read, type(EXAMPLES[name]))


@pytest.mark.parametrize("name", EXAMPLES)
def test_half_a_document_is_none(name):
    content = encode(EXAMPLES[name])
    with pytest.raises(Malformed):
        decode(content[: len(content) // 2], type(EXAMPLES[name]))
